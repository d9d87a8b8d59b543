using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.PubSub.Sqlite;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.PubSub;

public sealed class SqlitePubSubTests : IDisposable
{
    private const int SmallPages = 60;

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

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
    public async Task The_first_consumer_of_a_topic_gets_what_was_published_before_it_and_a_later_one_what_comes_after_its_own_start()
    {
        await using var broker = Open();
        var (early, late) = (new CollectingHandler(), new CollectingHandler());
        await Publish(broker, 1, 2);
        await using var first = await broker.SubscribeAsync(Subscription("early"), early.Handle, Cancellation);
        await Publish(broker, 3, 4);
        await early.WaitFor(4);
        await using var second = await broker.SubscribeAsync(Subscription("late"), late.Handle, Cancellation);
        await Publish(broker, 5, 5);

        Assert.Equal(["1", "2", "3", "4", "5"], (await early.WaitFor(5)).Order());
        Assert.Equal(["5"], await late.WaitFor(1));
    }

    [Fact]
    public async Task What_nobody_has_subscribed_to_waits_over_a_restart_and_of_too_much_of_it_the_latest_stays()
    {
        const int TooMany = 101_000;
        var time = new FakeTimeProvider();
        await using (var broker = Open(time: time))
        {
            await Publish(broker, 1, TooMany);
            time.Advance(TimeSpan.FromSeconds(2));
            await Publish(broker, TooMany + 1, TooMany + 1);
        }

        await using var reopened = Open();
        var handler = new CollectingHandler();
        await using var first = await reopened.SubscribeAsync(Subscription("first"), handler.Handle, Cancellation);

        var came = (await handler.WaitFor(100_000)).Select(int.Parse).ToHashSet();
        Assert.Equal(100_000, came.Count);
        Assert.Contains(TooMany + 1, came);
        Assert.DoesNotContain(1, came);
    }

    [Fact]
    public async Task Topics_without_a_subscriber_are_not_kept_without_bound()
    {
        await using var broker = Open();
        for (var topic = 0; topic <= 1_000; topic++)
            await Publish(broker, 1, 1, $"invented-{topic}");
        var (kept, tooMany) = (new CollectingHandler(), new CollectingHandler());
        await using var first = await broker.SubscribeAsync(new("invented-999", "app", new Dictionary<string, string>()), kept.Handle, Cancellation);
        await using var second = await broker.SubscribeAsync(new("invented-1000", "app", new Dictionary<string, string>()), tooMany.Handle, Cancellation);
        await Publish(broker, 2, 2, "invented-1000");

        Assert.Equal(["1"], await kept.WaitFor(1));
        Assert.Equal(["2"], await tooMany.WaitFor(1));
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

    [Theory]
    [InlineData(1, 1)]
    [InlineData(32, 2)]
    public async Task While_a_batch_is_worked_on_the_next_one_comes_unless_one_message_at_a_time_is_asked_for(int concurrency, int atOnce)
    {
        await using var broker = new SqlitePubSub(
            new() { Path = _folder.File("at-once.db"), Concurrency = concurrency }, NullLogger<SqlitePubSub>.Instance, TimeProvider.System);
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
            new() { Path = _folder.File("stragglers.db"), MaxUnfinished = 5 }, NullLogger<SqlitePubSub>.Instance, TimeProvider.System);
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
    public async Task A_straggler_that_has_ended_does_not_come_again_after_a_crash_although_others_of_its_batch_go_on()
    {
        var copy = _folder.File("after-the-crash.db");
        var (one, other) = (new TaskCompletionSource(), new TaskCompletionSource());
        await using (var broker = Open())
        {
            await using var subscription = await broker.SubscribeManyAsync(
                Subscription("app"),
                3,
                async (batch, stop) =>
                {
                    batch.Finish(0, DeliveryResult.Done);
                    batch.LetNextCome();
                    await one.Task.WaitAsync(Limit, stop);
                    batch.Finish(1, DeliveryResult.Done);
                    await other.Task.WaitAsync(Limit, stop);
                    batch.Finish(2, DeliveryResult.Done);
                },
                Cancellation);
            await Publish(broker, 1, 3);
            await WaitUntilSaved([2, 3]);

            one.SetResult();
            await WaitUntilSaved([3]);
            CopyDatabase(copy);
            other.SetResult();
        }

        await using var reopened = Open(copy);
        var again = new CollectingHandler();
        await using var resumed = await reopened.SubscribeAsync(Subscription("app"), again.Handle, Cancellation);

        Assert.Equal(["3"], await again.WaitFor(1));
    }

    [Fact]
    public async Task A_subscription_ends_although_the_component_ended_first_and_cut_its_handler_off()
    {
        var broker = Open();
        var isHandling = new TaskCompletionSource();
        var subscription = await broker.SubscribeAsync(
            Subscription("app"),
            async (_, stop) =>
            {
                isHandling.SetResult();
                await Task.Delay(Timeout.Infinite, stop);
                return DeliveryResult.Done;
            },
            Cancellation);
        await Publish(broker, 1, 1);
        await isHandling.Task.WaitAsync(Limit, Cancellation);

        await broker.DisposeAsync();
        await subscription.DisposeAsync().AsTask().WaitAsync(Limit, Cancellation);

        await using var reopened = Open();
        var again = new CollectingHandler();
        await using var resumed = await reopened.SubscribeAsync(Subscription("app"), again.Handle, Cancellation);
        Assert.Equal(["1"], await again.WaitFor(1));
    }

    [Fact]
    public async Task What_was_finished_is_saved_although_the_commit_that_should_have_saved_it_failed()
    {
        var time = new FakeTimeProvider();
        await using (var broker = Small(time))
        {
            var handler = new CollectingHandler();
            await using (await broker.SubscribeAsync(Subscription("app"), handler.Handle, Cancellation))
            {
                await Publish(broker, 1, 1);
                await handler.WaitFor(1);
            }

            Assert.All(await broker.PublishManyAsync("orders", [TooLarge], Cancellation), Assert.NotNull);
        }

        await using var reopened = Open();
        var again = new CollectingHandler();
        await using var resumed = await reopened.SubscribeAsync(Subscription("app"), again.Handle, Cancellation);
        await Publish(reopened, 2, 2);

        Assert.Equal(["2"], await again.WaitFor(1));
    }

    [Fact]
    public async Task A_dead_letter_without_a_subscriber_waits_for_the_first_one()
    {
        await using (var broker = Open())
        {
            await broker.RegisterAsync(new("orders", "app", new Dictionary<string, string>(), DeadLetterTopic: "dead"), Cancellation);
            await Publish(broker, 1, 2, "dead");
        }

        await using var reopened = Open();
        var (first, later) = (new CollectingHandler(), new CollectingHandler());
        await using var one = await reopened.SubscribeAsync(new("dead", "console", new Dictionary<string, string>()), first.Handle, Cancellation);
        Assert.Equal(["1", "2"], (await first.WaitFor(2)).Order());
        await using var other = await reopened.SubscribeAsync(new("dead", "app", new Dictionary<string, string>()), later.Handle, Cancellation);
        await Publish(reopened, 3, 3, "dead");

        Assert.Equal(["3"], await later.WaitFor(1));
    }

    [Fact]
    public async Task After_a_restart_no_dead_letter_is_removed_before_its_subscription_is_known_again()
    {
        const int Letters = 100_100;
        await using (var broker = Open())
        {
            await broker.RegisterAsync(new("orders", "app", new Dictionary<string, string>(), DeadLetterTopic: "dead"), Cancellation);
            await Publish(broker, 1, Letters, "dead");
        }

        var time = new FakeTimeProvider();
        await using var reopened = Open(time: time);
        time.Advance(TimeSpan.FromSeconds(2));
        await Publish(reopened, 1, 1, "others");
        time.Advance(TimeSpan.FromSeconds(2));
        await Publish(reopened, 2, 2, "others");

        Assert.Equal(Letters + 2, CountMessages());
    }

    [Fact]
    public async Task A_log_that_cannot_be_written_either_keeps_nobody_waiting()
    {
        await using var broker = new SqlitePubSub(new() { Path = _folder.File("small.db"), MaxPages = SmallPages }, new FullLog(), TimeProvider.System);
        await broker.RegisterAsync(Subscription("app"), Cancellation);

        var failures = await broker.PublishManyAsync("orders", [TooLarge], Cancellation).WaitAsync(Limit, Cancellation);
        await Publish(broker, 1, 1).WaitAsync(Limit, Cancellation);

        Assert.NotNull(Assert.Single(failures));
    }

    [Fact]
    public async Task A_consumer_that_cannot_be_taken_in_does_not_stop_the_writer()
    {
        var time = new NoMoreTimers { Allowed = 2 };
        await using var broker = Open(time: time);
        await broker.RegisterAsync(Subscription("app"), Cancellation);

        await Assert.ThrowsAsync<IOException>(() => broker.RegisterAsync(Subscription("other"), Cancellation).WaitAsync(Limit, Cancellation));
        await Publish(broker, 1, 1).WaitAsync(Limit, Cancellation);
    }

    [Theory]
    [InlineData("gone", 2, 1)]
    [InlineData("gone/orders", 2, 0)]
    [InlineData("stays/orders", 0, 0)]
    [InlineData("gone, stays", 0, 1)]
    public async Task Consumers_that_will_not_come_back_are_forgotten_with_what_was_kept_for_nobody_else(string forgotten, int staysHas, int lettersForgotten)
    {
        await using (var broker = Open())
        {
            await broker.RegisterAsync(Subscription("gone"), Cancellation);
            await broker.RegisterAsync(Subscription("stays"), Cancellation);
            await broker.RegisterAsync(new("letters", "gone", new Dictionary<string, string>()), Cancellation);
            await Publish(broker, 1, 2);
            await Publish(broker, 1, 2, "letters");
        }

        await using (new SqlitePubSub(
            new() { Path = _folder.File("pubsub.db"), ForgetConsumers = forgotten.Split(", ") }, NullLogger<SqlitePubSub>.Instance, TimeProvider.System))
        {
        }

        Assert.Equal(2L - (2 * lettersForgotten), Query("SELECT COUNT(*) FROM message JOIN topic ON key >> 44 = number WHERE name = 'letters'"));
        Assert.Equal(lettersForgotten == 1 ? 0L : 1L, Query("SELECT COUNT(*) FROM topic WHERE name = 'letters'"));
        await using var reopened = Open();
        var handler = new CollectingHandler();
        await using var subscription = await reopened.SubscribeAsync(Subscription("stays"), handler.Handle, Cancellation);
        await Publish(reopened, 3, 3);
        Assert.Equal([.. Enumerable.Range(1, staysHas).Select(n => $"{n}"), "3"], (await handler.WaitFor(staysHas + 1)).Order());
    }

    [Fact]
    public async Task The_start_tells_who_has_messages_to_come()
    {
        await using (var broker = Open())
        {
            await broker.RegisterAsync(Subscription("away"), Cancellation);
            await broker.RegisterAsync(new("letters", "done", new Dictionary<string, string>()), Cancellation);
            await Publish(broker, 1, 7);
        }

        var log = new Lines();
        await using (new SqlitePubSub(new() { Path = _folder.File("pubsub.db") }, log, TimeProvider.System))
        {
        }

        var line = Assert.Single(log.Written);
        Assert.Contains("Consumer away has 7 messages of topic orders to come", line, StringComparison.Ordinal);
        Assert.Contains("forgetConsumers", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_full_disk_refuses_what_is_published_and_loses_nothing_that_was_taken_and_room_that_is_made_is_used_at_once()
    {
        var time = new FakeTimeProvider();
        await using var broker = Small(time);
        await broker.RegisterAsync(Subscription("app"), Cancellation);
        var taken = new List<string>();
        Exception? refusal = null;
        for (var n = 1; refusal is null; n++)
        {
            var text = $"{n}";
            refusal = (await broker.PublishManyAsync("orders", [Message(text.PadRight(3000))], Cancellation))[0];
            if (refusal is null)
                taken.Add(text);
        }

        Assert.Contains("full", refusal.Message, StringComparison.Ordinal);
        Assert.True(taken.Count > 10, $"only {taken.Count} messages found room");

        var handler = new CollectingHandler();
        await using (await broker.SubscribeManyAsync(Subscription("app"), 100, handler.HandleBatch, Cancellation))
            Assert.Equal(taken, (await handler.WaitFor(taken.Count)).Select(text => text.Trim()));
        time.Advance(TimeSpan.FromSeconds(2));
        // Refused once more, and yet it lets the finished ones go.
        await broker.PublishManyAsync("orders", [Message("more".PadRight(3000))], Cancellation);

        for (var n = 0; n < taken.Count / 2; n++)
        {
            var failure = (await broker.PublishManyAsync("orders", [Message($"again {n}".PadRight(3000))], Cancellation))[0];
            Assert.True(failure is null, $"{n} of {taken.Count}, with {CountMessages()} in the file: {failure}");
        }
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

    private static BrokerMessage TooLarge => Message(new string('x', SmallPages * 4096));

    private static BrokerMessage Message(string text) => new(System.Text.Encoding.UTF8.GetBytes(text), null, null);

    private static TopicSubscription Subscription(string consumer) => new("orders", consumer, new Dictionary<string, string>());

    private static async Task Publish(SqlitePubSub broker, int from, int to, string topic = "orders") =>
        Assert.All(
            await broker.PublishManyAsync(
                topic, [.. Enumerable.Range(from, to - from + 1).Select(n => Message($"{n}"))], Cancellation),
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

    /// <summary>A database that is soon full.</summary>
    private SqlitePubSub Small(TimeProvider time) =>
        new(new() { Path = _folder.File("pubsub.db"), MaxPages = SmallPages }, NullLogger<SqlitePubSub>.Instance, time);

    private long CountMessages() => (long)Query("SELECT COUNT(*) FROM message")!;

    private async Task WaitUntilSaved(long[] unfinished)
    {
        var expected = unfinished.SelectMany(BitConverter.GetBytes).ToArray();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(Limit);
        while (Query("SELECT unfinished FROM consumer WHERE position >= 3") is not byte[] saved || !saved.SequenceEqual(expected))
        {
            Assert.False(limit.IsCancellationRequested, $"Expected {string.Join(", ", unfinished)} to be saved as unfinished within {Limit}");
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

    /// <summary>As a log file on a disk that is full.</summary>
    private sealed class FullLog : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            throw new IOException("No space left on device");
    }

    private sealed class Lines : ILogger
    {
        public List<string> Written { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Written.Add(formatter(state, exception));
    }

    /// <summary>A consumer needs a timer of its own.</summary>
    private sealed class NoMoreTimers : TimeProvider
    {
        public required int Allowed { get; set; }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            Allowed-- > 0 ? base.CreateTimer(callback, state, dueTime, period) : throw new OutOfMemoryException();
    }
}
