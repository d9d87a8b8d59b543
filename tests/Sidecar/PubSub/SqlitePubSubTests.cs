using DaprOrders.Sidecar.Components.PubSub;
using DaprOrders.Sidecar.Components.PubSub.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.PubSub;

public sealed class SqlitePubSubTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Messages_published_while_the_subscriber_is_away_come_when_it_is_back_in_order()
    {
        await using (var broker = Open())
        {
            await broker.RegisterAsync(Subscription("app"), Cancellation);
            await Publish(broker, 1, 1200);
        }

        await using var reopened = Open();
        var handler = new CollectingHandler();
        await using var subscription = await reopened.SubscribeManyAsync(Subscription("app"), 100, handler.HandleBatch, Cancellation);
        await Publish(reopened, 1201, 1300);

        Assert.Equal(Enumerable.Range(1, 1300).Select(n => $"{n}"), await handler.WaitFor(1300));
    }

    [Fact]
    public async Task A_consumer_gets_what_is_published_after_it_was_first_registered_and_nothing_from_before()
    {
        await using var broker = Open();
        var (early, late) = (new CollectingHandler(), new CollectingHandler());
        await Publish(broker, 1, 2);
        await using var first = await broker.SubscribeAsync(Subscription("early"), early.Handle, Cancellation);
        await Publish(broker, 3, 4);
        await early.WaitFor(2);
        await using var second = await broker.SubscribeAsync(Subscription("late"), late.Handle, Cancellation);
        await Publish(broker, 5, 5);

        Assert.Equal(["3", "4", "5"], (await early.WaitFor(3)).Order());
        Assert.Equal(["5"], await late.WaitFor(1));
    }

    [Fact]
    public async Task After_a_crash_what_was_not_finished_comes_again_at_once_and_what_was_finished_does_not()
    {
        var copy = _folder.File("after-the-crash.db");
        var gate = new TaskCompletionSource();
        await using (var broker = Open())
        {
            var handler = new CollectingHandler();
            await using var subscription = await broker.SubscribeAsync(
                Subscription("app"),
                (message, stop) => handler.Gated(message.Data.Span[0] == (byte)'2' ? gate.Task : Task.CompletedTask)(message, stop),
                Cancellation);
            await Publish(broker, 1, 3);
            await handler.WaitFor(3);
            await WaitUntilSaved([2]);
            await Publish(broker, 4, 4);
            // What a kill would leave behind: the files as they are now.
            CopyDatabase(copy);
            gate.SetResult();
        }

        await using var reopened = Open(copy);
        var again = new CollectingHandler();
        await using var resumed = await reopened.SubscribeAsync(Subscription("app"), again.Handle, Cancellation);
        await Publish(reopened, 5, 5);

        var received = (await again.WaitFor(3)).Order().ToArray();
        Assert.Equal(["2", "4", "5"], received);
    }

    [Fact]
    public async Task A_failed_message_comes_again_after_the_redeliver_interval_until_it_succeeds()
    {
        var time = new FakeTimeProvider();
        var failures = 2;
        var handler = new CollectingHandler(text => text == "1" && failures-- > 0 ? DeliveryResult.Failed : DeliveryResult.Done);
        await using var broker = Open(time: time);
        await using var subscription = await broker.SubscribeManyAsync(Subscription("app"), 10, handler.HandleBatch, Cancellation);
        await Publish(broker, 1, 2);

        Assert.Equal(["1", "2"], await handler.WaitFor(2));
        time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.Equal(2, handler.Received.Count);
        await AdvanceUntil(handler, 3, time);
        await AdvanceUntil(handler, 4, time);

        Assert.Equal(["1", "2", "1", "1"], handler.Received);
    }

    [Fact]
    public async Task Messages_that_keep_failing_stop_new_ones_at_the_limit_and_not_before()
    {
        var time = new FakeTimeProvider();
        var failing = true;
        var handler = new CollectingHandler(_ => failing ? DeliveryResult.Failed : DeliveryResult.Done);
        await using var broker = new SqlitePubSub(
            new() { Path = _folder.File("limit.db"), MaxUnfinished = 5 }, NullLogger<SqlitePubSub>.Instance, time);
        await using var subscription = await broker.SubscribeAsync(Subscription("app"), handler.Handle, Cancellation);
        await Publish(broker, 1, 8);

        Assert.Equal(["1", "2", "3", "4", "5"], (await handler.WaitFor(5)).Order());
        failing = false;
        await AdvanceUntil(handler, 13, time);

        Assert.Equal(["6", "7", "8"], handler.Received.Skip(10).Order());
    }

    [Fact]
    public async Task A_message_is_removed_when_every_consumer_has_finished_it()
    {
        var time = new FakeTimeProvider();
        await using (var broker = Open(time: time))
        {
            var (fast, slow) = (new CollectingHandler(), new CollectingHandler());
            var gate = new TaskCompletionSource();
            await using var first = await broker.SubscribeAsync(Subscription("fast"), fast.Handle, Cancellation);
            await using var second = await broker.SubscribeAsync(Subscription("slow"), slow.Gated(gate.Task), Cancellation);
            await Publish(broker, 1, 10);
            await fast.WaitFor(10);
            await slow.WaitFor(10);
            time.Advance(TimeSpan.FromSeconds(2));
            await Publish(broker, 11, 11);
            Assert.Equal(11, CountMessages());

            gate.SetResult();
            await fast.WaitFor(11);
            await slow.WaitFor(11);
        }

        await using (Open())
        {
        }

        time.Advance(TimeSpan.FromSeconds(2));
        await using (var again = Open(time: time))
        {
            var handler = new CollectingHandler();
            await using var one = await again.SubscribeAsync(Subscription("fast"), handler.Handle, Cancellation);
            await using var two = await again.SubscribeAsync(Subscription("slow"), handler.Handle, Cancellation);
            time.Advance(TimeSpan.FromSeconds(2));
            await Publish(again, 12, 12);
            Assert.Equal(["12", "12"], await handler.WaitFor(2));
            Assert.Equal(1, CountMessages());
        }
    }

    [Fact]
    public async Task A_place_is_not_given_twice_after_all_messages_were_removed_and_the_file_was_reopened()
    {
        for (var round = 1; round <= 3; round++)
        {
            var time = new FakeTimeProvider();
            await using var broker = Open(time: time);
            var handler = new CollectingHandler();
            await using var subscription = await broker.SubscribeAsync(Subscription("app"), handler.Handle, Cancellation);
            await Publish(broker, round, round);
            await handler.WaitFor(1);
            time.Advance(TimeSpan.FromSeconds(2));
            Assert.Equal([$"{round}"], handler.Received);
        }
    }

    [Fact]
    public async Task The_next_batch_need_not_wait_for_stragglers_of_one_that_was_opened()
    {
        await using var broker = Open();
        var straggler = new TaskCompletionSource();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeManyAsync(
            Subscription("app"),
            1,
            async (batch, stop) =>
            {
                await handler.HandleBatch(new Unfinished(batch), stop);
                if (handler.Received.Count == 1)
                {
                    batch.LetNextCome();
                    await straggler.Task.WaitAsync(stop);
                }

                batch.Finish(0, DeliveryResult.Done);
            },
            Cancellation);

        await Publish(broker, 1, 3);

        Assert.Equal(["1", "2", "3"], await handler.WaitFor(3));
        straggler.SetResult();
    }

    [Fact]
    public async Task Concurrency_bounds_the_messages_handled_at_once()
    {
        await using var broker = new SqlitePubSub(
            new() { Path = _folder.File("concurrency.db"), Concurrency = 3 }, NullLogger<SqlitePubSub>.Instance, TimeProvider.System);
        var gate = new TaskCompletionSource();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription("app"), handler.Gated(gate.Task), Cancellation);
        await Publish(broker, 1, 10);
        await handler.WaitFor(3);
        gate.SetResult();
        await handler.WaitFor(10);

        Assert.Equal(3, handler.MostAtOnce);
    }

    [Fact]
    public async Task A_second_owner_of_the_file_is_refused_by_name()
    {
        await using var broker = Open();

        var error = Assert.Throws<InvalidOperationException>(() => Open());

        Assert.Contains("in use by another process", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Publishing_and_delivering_in_bulk_keeps_pace_with_thousands_of_messages_a_second()
    {
        const int Publishers = 8, Batches = 40, BatchSize = 100;
        await using var broker = Open();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeManyAsync(Subscription("app"), 100, handler.HandleBatch, Cancellation);
        var payload = new byte[1024];
        Array.Fill(payload, (byte)'x');
        var batch = Enumerable.Range(0, BatchSize).Select(_ => new BrokerMessage(payload, null, null)).ToArray();

        var started = TimeProvider.System.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Publishers).Select(async _ =>
        {
            for (var i = 0; i < Batches; i++)
                await broker.PublishManyAsync("orders", batch, Cancellation);
        }));
        await handler.WaitFor(Publishers * Batches * BatchSize);
        var rate = Publishers * Batches * BatchSize / TimeProvider.System.GetElapsedTime(started).TotalSeconds;

        TestContext.Current.TestOutputHelper?.WriteLine($"{rate:F0} messages a second");
        Assert.True(rate > 2_000, $"{rate:F0} messages a second: something blocks (bench/ measures the real figure)");
    }

    private static TopicSubscription Subscription(string consumer) => new("orders", consumer, new Dictionary<string, string>());

    private static async Task Publish(SqlitePubSub broker, int from, int to) =>
        Assert.All(
            await broker.PublishManyAsync(
                "orders", [.. Enumerable.Range(from, to - from + 1).Select(n => new BrokerMessage(System.Text.Encoding.UTF8.GetBytes($"{n}"), null, null))], Cancellation),
            Assert.Null);

    /// <summary>The timer is armed on another thread, after the handler's answer: time moves on until it has fired.</summary>
    private static async Task AdvanceUntil(CollectingHandler handler, int count, FakeTimeProvider time)
    {
        var reached = handler.WaitFor(count);
        while (!reached.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(5));
            await Task.Yield();
        }

        await reached;
    }

    private SqlitePubSub Open(string? path = null, TimeProvider? time = null) =>
        new(new() { Path = path ?? _folder.File("pubsub.db") }, NullLogger<SqlitePubSub>.Instance, time ?? TimeProvider.System);

    private long CountMessages() => (long)Query("SELECT COUNT(*) FROM message")!;

    private async Task WaitUntilSaved(long[] unfinished)
    {
        var expected = unfinished.SelectMany(BitConverter.GetBytes).ToArray();
        while (Query("SELECT unfinished FROM consumer WHERE position >= 3") is not byte[] saved || !saved.SequenceEqual(expected))
        {
            Cancellation.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private object? Query(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={_folder.File("pubsub.db")};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar();
    }

    private void CopyDatabase(string to)
    {
        foreach (var suffix in new[] { "", "-wal" })
        {
            using var source = new FileStream(_folder.File("pubsub.db") + suffix, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var target = File.Create(to + suffix);
            source.CopyTo(target);
        }
    }

    /// <summary>Lets a handler see the messages without finishing them.</summary>
    private sealed class Unfinished(IMessageBatch batch) : IMessageBatch
    {
        public IReadOnlyList<BrokerMessage> Messages => batch.Messages;

        public void Finish(int index, DeliveryResult result) => Assert.Equal(DeliveryResult.Done, result);

        public void LetNextCome() => batch.LetNextCome();
    }
}
