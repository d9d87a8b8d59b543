using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.PubSub.Redis;
using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;
using static DaprOrders.Sidecar.Tests.PubSub.BrokerTests;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>pubsub.redis on a real Redis; what daprd does on it is recorded, and played beside this.</summary>
public sealed class RedisPubSubTests(StoreServers servers) : IClassFixture<StoreServers>, IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private static readonly (string, string)[] HandsOutSoonAgain = [("processingTimeout", "2000"), ("redeliverInterval", "20")];

    private RedisServer _redis = null!;
    private ConnectionMultiplexer _connection = null!;
    private int _number;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private IDatabase Database => _connection.GetDatabase(_number);

    public async ValueTask InitializeAsync()
    {
        ServerProgram.Require(RedisServer.Missing);
        _redis = await servers.RedisAsync();
        _connection = await ConnectionMultiplexer.ConnectAsync($"{_redis.Address},allowAdmin=true");
        _number = _redis.NewDatabase();
    }

    public ValueTask DisposeAsync() => _connection is null ? ValueTask.CompletedTask : _connection.DisposeAsync();

    [Fact]
    public async Task Who_subscribes_for_the_first_time_gets_what_was_published_before_and_each_consumer_gets_all()
    {
        await using var broker = await OpenAsync();
        await PublishAsync(broker, 1, 30);
        var (one, two) = (new CollectingHandler(), new CollectingHandler());
        await using var first = await broker.SubscribeAsync(Subscription("one"), one.Handle, Cancellation);
        await using var second = await broker.SubscribeAsync(Subscription("two"), two.Handle, Cancellation);
        await PublishAsync(broker, 31, 60);

        Assert.Equal(Enumerable.Range(1, 60), (await one.WaitFor(60)).Select(int.Parse).Order());
        Assert.Equal(Enumerable.Range(1, 60), (await two.WaitFor(60)).Select(int.Parse).Order());
    }

    [Fact]
    public async Task Metadata_travel_and_none_is_none()
    {
        await using var broker = await OpenAsync(("concurrency", "1"));
        var received = new List<BrokerMessage>();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(
            Subscription("one"),
            (message, stop) =>
            {
                received.Add(message);
                return handler.Handle(message, stop);
            },
            Cancellation);

        await broker.PublishAsync("orders", new(Bytes("bare"), "text/plain", null), Cancellation);
        var failures = await broker.PublishManyAsync("orders", [new(Bytes("full"), null, new Dictionary<string, string> { ["a"] = "ü" })], Cancellation);

        Assert.Equal(["bare", "full"], await handler.WaitFor(2));
        Assert.Equal([null], failures);
        Assert.Null(received[0].Metadata);
        Assert.Equal("ü", received[1].Metadata!["a"]);
    }

    [Fact]
    public async Task Replicas_share_and_an_application_handles_no_more_at_once_than_its_concurrency_over_all_its_topics()
    {
        await using var broker = await OpenAsync(("concurrency", "3"));
        await using var replica = await OpenAsync(("concurrency", "3"));
        var gate = new TaskCompletionSource();
        var handler = new CollectingHandler();
        await using var orders = await broker.SubscribeAsync(Subscription("one"), handler.Gated(gate.Task), Cancellation);
        await using var stock = await broker.SubscribeAsync(Subscription("one", "stock"), handler.Gated(gate.Task), Cancellation);
        await using var elsewhere = await replica.SubscribeAsync(Subscription("one"), handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 20);
        await PublishAsync(broker, 21, 40, "stock");

        await handler.WaitFor(3);
        gate.SetResult();

        Assert.Equal(Enumerable.Range(1, 40), (await handler.WaitFor(40)).Select(int.Parse).Order());
        Assert.InRange(handler.MostAtOnce, 3, 6);
    }

    [Fact]
    public async Task A_message_whose_handler_failed_is_acknowledged_and_does_not_come_again()
    {
        await using var broker = await OpenAsync(HandsOutSoonAgain);
        var handler = new CollectingHandler(text => text == "1" ? DeliveryResult.Failed : DeliveryResult.Done);
        await using var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Handle, Cancellation);

        await PublishAsync(broker, 1, 3);

        await handler.WaitFor(3);
        await UntilAsync(async () => await PendingAsync("one") == 0);
        Assert.Equal(["1", "2", "3"], handler.Received.Order());
    }

    [Fact]
    public async Task What_a_process_had_in_hand_when_it_ended_comes_again_after_its_processing_timeout()
    {
        await EndWithInHandAsync(2);

        await using var next = await OpenAsync(HandsOutSoonAgain);
        var handler = new CollectingHandler();
        await using var subscription = await next.SubscribeAsync(Subscription("one"), handler.Handle, Cancellation);

        Assert.Equal(["1", "2"], (await handler.WaitFor(2)).Order());
        await UntilAsync(async () => await PendingAsync("one") == 0);
    }

    [Fact]
    public async Task A_subscription_that_ended_swallows_nothing_and_waits_for_what_it_has_in_hand()
    {
        await using var broker = await OpenAsync();
        var (gate, handler, later) = (new TaskCompletionSource(), new CollectingHandler(), new CollectingHandler());
        var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 1);
        await handler.WaitFor(1);

        var ending = subscription.DisposeAsync().AsTask();
        // Longer than the last poll takes, so that only the handler can be what it waits for.
        await Assert.ThrowsAsync<TimeoutException>(() => ending.WaitAsync(TimeSpan.FromSeconds(2), Cancellation));
        gate.SetResult();
        await ending;
        await PublishAsync(broker, 2, 2);
        await using var again = await broker.SubscribeAsync(Subscription("one"), later.Handle, Cancellation);

        Assert.Equal(["2"], await later.WaitFor(1));
        Assert.Equal(["1"], handler.Received);
        await subscription.DisposeAsync();
    }

    [Fact]
    public async Task A_group_that_somebody_removed_is_made_again_and_what_is_in_the_stream_comes_again()
    {
        await using var broker = await OpenAsync();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Handle, Cancellation);
        await PublishAsync(broker, 1, 1);
        await handler.WaitFor(1);

        await Database.StreamDeleteConsumerGroupAsync("orders", "one");
        await PublishAsync(broker, 2, 2);

        Assert.Equal(["1", "1", "2"], (await handler.WaitFor(3)).Order());
    }

    [Fact]
    public async Task What_was_trimmed_before_it_was_acknowledged_is_forgotten()
    {
        await EndWithInHandAsync(3);

        await Database.StreamTrimAsync("orders", 0);
        await using var next = await OpenAsync(HandsOutSoonAgain);
        var handler = new CollectingHandler();
        await using var subscription = await next.SubscribeAsync(Subscription("one"), handler.Handle, Cancellation);

        await UntilAsync(async () => await PendingAsync("one") == 0);
        Assert.Empty(handler.Received);
    }

    [Fact]
    public async Task What_is_held_here_for_longer_than_the_processing_timeout_is_handled_once()
    {
        await using var broker = await OpenAsync(("processingTimeout", "100"), ("redeliverInterval", "20"), ("concurrency", "1"));
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await using var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 3);
        await handler.WaitFor(1);

        // Late by the server's clock, and looked for several times since.
        await UntilAsync(async () => (await Database.StreamPendingMessagesAsync("orders", "one", 10, RedisValue.Null)) is { Length: > 0 } pending
            && pending.All(message => message.IdleTimeInMilliseconds > 1000));
        gate.SetResult();

        await UntilAsync(async () => await PendingAsync("one") == 0);
        Assert.Equal(["1", "2", "3"], handler.Received);
    }

    [Fact]
    public async Task A_reader_that_is_cut_off_reads_on()
    {
        await using var broker = await OpenAsync();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Handle, Cancellation);
        await PublishAsync(broker, 1, 1);
        await handler.WaitFor(1);

        await Database.ExecuteAsync("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
        await UntilAsync(async () => (await broker.PublishManyAsync("orders", [new(Bytes("2"), null, null)], Cancellation))[0] is null);

        Assert.Contains("2", await handler.WaitFor(2));
    }

    [Theory]
    [InlineData("maxLenApprox", "100")]
    [InlineData("streamTTL", "1ms")]
    [InlineData("maxLenApprox", "100", "streamTTL", "24h")]
    public async Task A_stream_is_trimmed_as_it_is_told(string field, string value, string other = "readTimeout", string otherValue = "-1")
    {
        await using var broker = await OpenAsync((field, value), (other, otherValue));

        await PublishAsync(broker, 1, 1000);

        // Redis trims whole nodes of a hundred messages.
        Assert.InRange(await Database.StreamLengthAsync("orders"), 1, 300);
    }

    [Fact]
    public void A_redeliver_interval_as_a_duration_is_ignored_as_by_daprd()
    {
        Assert.Equal(TimeSpan.FromSeconds(15), RedisPubSubOptions.Read(Metadata(("redeliverInterval", "1s")), NullLogger.Instance).RedeliverInterval);
        Assert.Equal(TimeSpan.FromSeconds(1), RedisPubSubOptions.Read(Metadata(("redeliverInterval", "1000")), NullLogger.Instance).RedeliverInterval);
    }

    private static TopicSubscription Subscription(string consumer, string topic = "orders") => new(topic, consumer, new Dictionary<string, string>());

    /// <summary>A process that ended while its application handled these.</summary>
    private async Task EndWithInHandAsync(int messages)
    {
        var held = new CollectingHandler();
        await using var broker = await OpenAsync();
        await broker.SubscribeAsync(Subscription("one"), held.Gated(Task.Delay(Timeout.Infinite, Cancellation)), Cancellation);
        await PublishAsync(broker, 1, messages);
        await held.WaitFor(messages);
    }

    private static Task UntilAsync(Func<Task<bool>> holds) => BrokerTests.UntilAsync(holds, Limit);

    private static ComponentMetadata Metadata(params (string, string)[] fields) => BrokerTests.Metadata("pubsub.redis", fields);

    private async Task<long> PendingAsync(string consumer) => (await Database.StreamPendingAsync("orders", consumer)).PendingMessageCount;

    private async Task<IPubSub> OpenAsync(params (string, string)[] fields) => (IPubSub)await RedisPubSub.ComponentType.Create(
        Metadata([("redisHost", _redis.Address), ("redisDB", $"{_number}"), .. fields]),
        new ComponentContext("pubsub", TimeProvider.System, NullLoggerFactory.Instance),
        Cancellation);
}
