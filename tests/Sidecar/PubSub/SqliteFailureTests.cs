using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.PubSub.Sqlite;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>Crashes, full disks and commits that fail: nothing that was taken is lost, and what was finished does not come again.</summary>
public sealed class SqliteFailureTests : SqliteBroker
{
    private const int SmallPages = 60;

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    [Fact]
    public async Task After_a_crash_what_was_not_finished_comes_again_at_once_and_what_was_finished_does_not()
    {
        var copy = Folder.File("after-the-crash.db");
        var gate = new TaskCompletionSource();
        await using (var broker = Open())
        {
            var handler = new CollectingHandler();
            await using var subscription = await broker.SubscribeAsync(
                Subscription("app"),
                (message, stop) => handler.Gated(message.Data.Span[0] is (byte)'2' or (byte)'4' ? gate.Task : Task.CompletedTask)(message, stop),
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
    public async Task A_straggler_that_has_ended_does_not_come_again_after_a_crash_although_others_of_its_batch_go_on()
    {
        var copy = Folder.File("after-the-crash.db");
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
    public async Task A_log_that_cannot_be_written_either_keeps_nobody_waiting()
    {
        await using var broker = new SqlitePubSub(new() { Path = Folder.File("small.db"), MaxPages = SmallPages }, new FullLog(), TimeProvider.System);
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

    private static BrokerMessage TooLarge => Message(new string('x', SmallPages * 4096));

    /// <summary>A database that is soon full.</summary>
    private SqlitePubSub Small(TimeProvider time) =>
        new(new() { Path = Folder.File("pubsub.db"), MaxPages = SmallPages }, NullLogger<SqlitePubSub>.Instance, time);

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

    private void CopyDatabase(string to)
    {
        foreach (var suffix in new[] { "", "-wal" })
        {
            using var source = new FileStream(Folder.File("pubsub.db") + suffix, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            using var target = File.Create(to + suffix);
            source.CopyTo(target);
        }
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

    /// <summary>A consumer needs a timer of its own.</summary>
    private sealed class NoMoreTimers : TimeProvider
    {
        public required int Allowed { get; set; }

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            Allowed-- > 0 ? base.CreateTimer(callback, state, dueTime, period) : throw new OutOfMemoryException();
    }
}
