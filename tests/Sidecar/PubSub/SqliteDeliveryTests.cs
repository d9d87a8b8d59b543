using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.PubSub.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>How much of it is under way at once, and when what failed comes again.</summary>
public sealed class SqliteDeliveryTests : SqliteBroker
{
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
            new() { Path = Folder.File("limit.db"), MaxUnfinished = 5 }, NullLogger<SqlitePubSub>.Instance, time);
        await using var subscription = await broker.SubscribeAsync(Subscription("app"), handler.Handle, Cancellation);
        await Publish(broker, 1, 8);

        Assert.Equal(["1", "2", "3", "4", "5"], (await handler.WaitFor(5)).Order());
        failing = false;
        await AdvanceUntil(handler, 13, time);

        // None of them before another had made room for it, and none failed.
        var room = 0;
        Assert.All(handler.Received.Skip(5), one => Assert.True((room += one is "6" or "7" or "8" ? -1 : 1) >= 0, string.Join(' ', handler.Received)));
        Assert.Equal(["1", "1", "2", "2", "3", "3", "4", "4", "5", "5", "6", "7", "8"], handler.Received.Order());
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(32, 2)]
    public async Task While_a_batch_is_worked_on_the_next_one_comes_unless_one_message_at_a_time_is_asked_for(int concurrency, int atOnce)
    {
        await using var broker = new SqlitePubSub(
            new() { Path = Folder.File("at-once.db"), Concurrency = concurrency }, NullLogger<SqlitePubSub>.Instance, TimeProvider.System);
        var gate = new SemaphoreSlim(0);
        var (atWork, most) = (0, 0);
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeManyAsync(
            Subscription("app"),
            1,
            async (batch, stop) =>
            {
                InterlockedMax(ref most, Interlocked.Increment(ref atWork));
                await handler.HandleBatch(new Unfinished(batch), stop);
                await gate.WaitAsync(stop);
                batch.Finish(0, DeliveryResult.Done);
                Interlocked.Decrement(ref atWork);
            },
            Cancellation);
        await Publish(broker, 1, 9);
        await handler.WaitFor(atOnce);

        gate.Release(9);

        Assert.Equal(9, (await handler.WaitFor(9)).Count);
        Assert.Equal(atOnce, most);

        static void InterlockedMax(ref int most, int now)
        {
            for (var seen = most; now > seen; seen = most)
                Interlocked.CompareExchange(ref most, now, seen);
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
    public async Task Stragglers_that_end_let_the_backlog_come_although_nothing_more_is_published()
    {
        await using var broker = new SqlitePubSub(
            new() { Path = Folder.File("stragglers.db"), MaxUnfinished = 5 }, NullLogger<SqlitePubSub>.Instance, TimeProvider.System);
        var outage = new TaskCompletionSource();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeManyAsync(
            Subscription("app"),
            5,
            async (batch, stop) =>
            {
                await handler.HandleBatch(new Unfinished(batch), stop);
                batch.LetNextCome();
                await outage.Task.WaitAsync(stop);
                for (var i = 0; i < batch.Messages.Count; i++)
                    batch.Finish(i, DeliveryResult.Done);
            },
            Cancellation);
        await Publish(broker, 1, 12);
        await handler.WaitFor(5);

        outage.SetResult();

        Assert.Equal(Enumerable.Range(1, 12).Select(n => $"{n}"), await handler.WaitFor(12));
    }

    [Fact]
    public async Task Concurrency_bounds_the_messages_handled_at_once()
    {
        await using var broker = new SqlitePubSub(
            new() { Path = Folder.File("concurrency.db"), Concurrency = 3 }, NullLogger<SqlitePubSub>.Instance, TimeProvider.System);
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
    public async Task Publishing_and_delivering_in_bulk_is_many_times_as_fast_as_one_by_one()
    {
        const int Publishers = 8, Batches = 40, BatchSize = 100, OneByOne = 200;
        const double TimesAsFast = 4;
        await using var broker = Open();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeManyAsync(Subscription("app"), 100, handler.HandleBatch, Cancellation);
        var payload = new byte[1024];
        Array.Fill(payload, (byte)'x');
        var batch = Enumerable.Range(0, BatchSize).Select(_ => new BrokerMessage(payload, null, null)).ToArray();

        var started = TimeProvider.System.GetTimestamp();
        for (var n = 1; n <= OneByOne; n++)
        {
            await broker.PublishAsync("orders", batch[0], Cancellation);
            await handler.WaitFor(n);
        }

        var oneByOne = OneByOne / TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        started = TimeProvider.System.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Publishers).Select(async _ =>
        {
            for (var i = 0; i < Batches; i++)
                await broker.PublishManyAsync("orders", batch, Cancellation);
        }));
        await handler.WaitFor(OneByOne + (Publishers * Batches * BatchSize));
        var rate = Publishers * Batches * BatchSize / TimeProvider.System.GetElapsedTime(started).TotalSeconds;

        TestContext.Current.TestOutputHelper?.WriteLine($"{rate:F0} messages a second in bulk, {oneByOne:F0} one by one");
        Assert.True(
            rate > TimesAsFast * oneByOne, $"{rate:F0} messages a second in bulk, {oneByOne:F0} one by one: something blocks (bench/ measures the real figures)");
    }

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

    /// <summary>Lets a handler see the messages without finishing them.</summary>
    private sealed class Unfinished(IMessageBatch batch) : IMessageBatch
    {
        public IReadOnlyList<BrokerMessage> Messages => batch.Messages;

        public void Finish(int index, DeliveryResult result) => Assert.Equal(DeliveryResult.Done, result);

        public void LetNextCome() => batch.LetNextCome();
    }
}
