using EmbeddedSidecar.Components.PubSub.Sqlite;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>What a broker of SQLite keeps, for whom, in which order, and until when.</summary>
public sealed class SqlitePubSubTests : SqliteBroker
{
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
            new() { Path = Folder.File("pubsub.db"), ForgetConsumers = forgotten.Split(", ") }, NullLogger<SqlitePubSub>.Instance, TimeProvider.System))
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
        await using (new SqlitePubSub(new() { Path = Folder.File("pubsub.db") }, log, TimeProvider.System))
        {
        }

        var line = Assert.Single(log.Written);
        Assert.Contains("Consumer away has 7 messages of topic orders to come", line, StringComparison.Ordinal);
        Assert.Contains("forgetConsumers", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_owner_of_the_file_is_refused_by_name()
    {
        await using var broker = Open();

        var error = Assert.Throws<InvalidOperationException>(() => Open());

        Assert.Contains("in use by another process", error.Message, StringComparison.Ordinal);
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
}
