using System.Text;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.PubSub.RabbitMq;
using Microsoft.Extensions.Logging.Abstractions;
using RabbitMQ.Client;
using static DaprOrders.Sidecar.Tests.PubSub.BrokerTests;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>pubsub.rabbitmq on a real RabbitMQ; what daprd does on it is recorded, and played beside this.</summary>
public sealed class RabbitMqPubSubTests(StoreServers servers) : IClassFixture<StoreServers>, IAsyncLifetime
{
    private static readonly (string, string) Kept = ("deletedWhenUnused", "false");
    private static readonly (string, string) Confirmed = ("publisherConfirm", "true");
    private static readonly (string, string) OneByOne = ("concurrencyMode", "single");

    private RabbitMqServer _server = null!;
    private string _virtualHost = null!;
    private IConnection _connection = null!;
    private IChannel _channel = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        ServerProgram.Require(RabbitMqServer.Missing);
        _server = await servers.RabbitMqAsync();
        _virtualHost = _server.NewVirtualHost();
        _connection = await new ConnectionFactory { Uri = new(_server.ConnectionString(_virtualHost)) }.CreateConnectionAsync(Cancellation);
        _channel = await _connection.CreateChannelAsync(cancellationToken: Cancellation);
    }

    public ValueTask DisposeAsync() => _connection is null ? ValueTask.CompletedTask : _connection.DisposeAsync();

    [Fact]
    public async Task Each_consumer_gets_what_is_published_from_its_subscription_on()
    {
        await using var broker = await OpenAsync(OneByOne);
        await PublishAsync(broker, 1, 5);
        var (one, two, other) = (new CollectingHandler(), new CollectingHandler(), new CollectingHandler());
        await using var first = await broker.SubscribeAsync(Subscription("one"), one.Handle, Cancellation);
        await using var second = await broker.SubscribeAsync(Subscription("two"), two.Handle, Cancellation);
        await using var third = await broker.SubscribeAsync(Subscription("two", "stock"), other.Handle, Cancellation);
        await PublishAsync(broker, 6, 60);

        var expected = Enumerable.Range(6, 55).Select(n => $"{n}");
        Assert.Equal(expected, await one.WaitFor(55));
        Assert.Equal(expected, await two.WaitFor(55));
        Assert.Empty(other.Received);
    }

    [Fact]
    public async Task A_queue_that_lasts_begins_when_its_subscription_is_registered()
    {
        await using var broker = await OpenAsync(Kept, OneByOne);
        await broker.RegisterAsync(Subscription("one"), Cancellation);
        await PublishAsync(broker, 1, 5);
        var handler = new CollectingHandler();

        await using var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Handle, Cancellation);

        Assert.Equal(["1", "2", "3", "4", "5"], await handler.WaitFor(5));
    }

    [Fact]
    public async Task Replicas_share_and_a_subscription_handles_no_more_at_once_than_is_prefetched()
    {
        await using var broker = await OpenAsync(("prefetchCount", "3"));
        await using var replica = await OpenAsync(("prefetchCount", "3"));
        var gate = new TaskCompletionSource();
        var handler = new CollectingHandler();
        await broker.SubscribeAsync(Subscription("one"), handler.Gated(gate.Task), Cancellation);
        await replica.SubscribeAsync(Subscription("one"), handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 40);

        await handler.WaitFor(6);
        gate.SetResult();

        Assert.Equal(Enumerable.Range(1, 40), (await handler.WaitFor(40)).Select(int.Parse).Order());
        Assert.Equal(6, handler.MostAtOnce);
    }

    [Fact]
    public async Task One_by_one_is_in_order_and_one_at_a_time()
    {
        await using var broker = await OpenAsync(OneByOne);
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Gated(Task.CompletedTask), Cancellation);

        await PublishAsync(broker, 1, 200);

        Assert.Equal(Enumerable.Range(1, 200).Select(n => $"{n}"), await handler.WaitFor(200));
        Assert.Equal(1, handler.MostAtOnce);
    }

    [Fact]
    public async Task Any_number_of_messages_is_on_its_way_to_be_confirmed()
    {
        await using var broker = await OpenAsync(Kept, Confirmed, ("deliveryMode", "2"));
        await broker.RegisterAsync(Subscription("one"), Cancellation);

        var failures = await broker.PublishManyAsync("orders", [.. Enumerable.Range(1, 2000).Select(n => Message($"{n}"))], Cancellation);

        Assert.All(failures, Assert.Null);
        Assert.Equal(2000u, await WaitingAsync("one-orders"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Properties_travel_to_whom_they_are_to_be_told(bool areTold)
    {
        await using var broker = await OpenAsync(OneByOne, Confirmed, ("publishMessagePropertiesToMetadata", $"{areTold}"));
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

        await broker.PublishAsync("orders", Message("bare"), Cancellation);
        await broker.PublishAsync(
            "orders", Message("full", ("messageID", "m"), ("CORRELATIONID", "ü"), ("type", "t"), ("contentType", "application/json")), Cancellation);

        Assert.Equal(["bare", "full"], await handler.WaitFor(2));
        string[] bare = ["metadata.contenttype=text/plain"];
        string[] full = ["metadata.messageid=m", "metadata.correlationid=ü", "metadata.type=t", "metadata.contenttype=application/json"];
        Assert.Equal(areTold ? bare : [], received[0].Metadata!.Select(field => $"{field.Key}={field.Value}"));
        Assert.Equal(areTold ? full : [], received[1].Metadata!.Select(field => $"{field.Key}={field.Value}"));
    }

    [Fact]
    public async Task A_message_that_has_waited_for_its_time_to_live_is_gone_and_one_of_higher_priority_overtakes()
    {
        await using var broker = await OpenAsync(OneByOne, Confirmed, ("prefetchCount", "1"));
        var (gate, handler) = (new TaskCompletionSource(), new CollectingHandler());
        await broker.SubscribeAsync(Subscription("one", metadata: ("maxPriority", "9")), handler.Gated(gate.Task), Cancellation);
        await broker.PublishAsync("orders", Message("held"), Cancellation);
        await handler.WaitFor(1);

        await broker.PublishAsync("orders", Message("expired", ("ttl", "1ms")), Cancellation);
        await UntilAsync(async () => await WaitingAsync("one-orders") == 0);
        await broker.PublishAsync("orders", Message("low", ("priority", "1"), ("ttlInSeconds", "100")), Cancellation);
        await broker.PublishAsync("orders", Message("high", ("priority", "9"), ("ttlInSeconds", "no number")), Cancellation);
        gate.SetResult();

        Assert.Equal(["held", "high", "low"], await handler.WaitFor(3));
        var tooLong = await Assert.ThrowsAsync<IOException>(() => broker.PublishAsync("orders", Message("too long", ("ttl", "1200h")), Cancellation));
        Assert.Contains("4294967 s", tooLong.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_subscription_gets_what_is_published_for_its_routing_keys()
    {
        await using var broker = await OpenAsync(OneByOne, ("exchangeKind", "topic"));
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription("one", metadata: ("routingKey", "a.*,b")), handler.Handle, Cancellation);

        foreach (var key in new[] { "a.1", "c", "b", "", "a.2" })
            await broker.PublishAsync("orders", Message(key, ("routingKey", key)), Cancellation);

        Assert.Equal(["a.1", "b", "a.2"], await handler.WaitFor(3));
    }

    [Theory]
    [InlineData("queueName", "mine", "mine")]
    [InlineData("queueType", "quorum", "one-orders")]
    [InlineData("singleActiveConsumer", "true", "one-orders")]
    public async Task Queues_are_made_as_the_subscription_says(string name, string value, string queue)
    {
        await using var broker = await OpenAsync(Kept);
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription("one", metadata: (name, value)), handler.Handle, Cancellation);

        await PublishAsync(broker, 1, 3);

        Assert.Equal(["1", "2", "3"], (await handler.WaitFor(3)).Order());
        await UntilAsync(async () => await WaitingAsync(queue) == 0);
    }

    [Theory]
    [InlineData("maxLen", "2", false)]
    [InlineData("maxLen", "2", true)]
    [InlineData("maxLenBytes", "2", false)]
    public async Task A_queue_keeps_no_more_than_it_is_told_and_drops_the_oldest(string name, string value, bool bySubscription)
    {
        await using var broker = bySubscription ? await OpenAsync(Kept, Confirmed) : await OpenAsync(Kept, Confirmed, (name, value));
        await broker.RegisterAsync(bySubscription ? Subscription("one", metadata: (name, value)) : Subscription("one"), Cancellation);

        await PublishAsync(broker, 1, 5);

        await UntilAsync(async () => await WaitingAsync("one-orders") == 2);
        Assert.Equal("4", Encoding.UTF8.GetString((await _channel.BasicGetAsync("one-orders", autoAck: true, Cancellation))!.Body.Span));
    }

    [Theory]
    [InlineData("queueType", "stream", "classic or quorum")]
    [InlineData("maxPriority", "high", "a whole number")]
    public async Task A_subscription_that_makes_no_sense_is_refused(string name, string value, string expected)
    {
        await using var broker = await OpenAsync();

        var refused = await Assert.ThrowsAsync<ArgumentException>(
            () => broker.SubscribeAsync(Subscription("one", metadata: (name, value)), new CollectingHandler().Handle, Cancellation));

        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_message_whose_handler_failed_does_not_come_again_and_a_dead_letter_queue_has_it(bool deadLetters)
    {
        (string, string)[] fields = [Kept, OneByOne, ("enableDeadLetter", $"{deadLetters}")];
        var (handler, later) = (new CollectingHandler(text => text == "1" ? DeliveryResult.Failed : DeliveryResult.Done), new CollectingHandler());
        await using (var broker = await OpenAsync(fields))
        {
            await using var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Handle, Cancellation);
            await PublishAsync(broker, 1, 3);
            await handler.WaitFor(3);
        }

        await using var next = await OpenAsync(fields);
        await using var again = await next.SubscribeAsync(Subscription("one"), later.Handle, Cancellation);
        await PublishAsync(next, 4, 4);

        Assert.Equal(["4"], await later.WaitFor(1));
        Assert.Equal(["1", "2", "3"], handler.Received);
        if (!deadLetters)
            return;
        await UntilAsync(async () => await WaitingAsync("dlq-one-orders") == 1);
        Assert.Equal("1", Encoding.UTF8.GetString((await _channel.BasicGetAsync("dlq-one-orders", autoAck: true, Cancellation))!.Body.Span));
    }

    [Fact]
    public async Task A_message_whose_handler_failed_comes_again_where_failures_are_requeued()
    {
        await using var broker = await OpenAsync(("requeueInFailure", "true"));
        var attempts = 0;
        var handler = new CollectingHandler(text => text == "1" && ++attempts < 3 ? DeliveryResult.Failed : DeliveryResult.Done);
        await using var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Handle, Cancellation);

        await PublishAsync(broker, 1, 1);

        Assert.Equal(["1", "1", "1"], await handler.WaitFor(3));
    }

    [Fact]
    public async Task What_a_process_had_in_hand_when_it_ended_comes_again_at_once()
    {
        var held = new CollectingHandler();
        await using (var broker = await OpenAsync(Kept))
        {
            await broker.SubscribeAsync(Subscription("one"), held.Gated(Task.Delay(Timeout.Infinite, Cancellation)), Cancellation);
            await PublishAsync(broker, 1, 3);
            await held.WaitFor(3);
        }

        await using var next = await OpenAsync(Kept);
        var handler = new CollectingHandler();
        await using var subscription = await next.SubscribeAsync(Subscription("one"), handler.Handle, Cancellation);

        Assert.Equal(["1", "2", "3"], (await handler.WaitFor(3)).Order());
    }

    [Fact]
    public async Task A_subscription_that_ends_finishes_what_it_has_in_hand_and_leaves_the_rest()
    {
        await using var broker = await OpenAsync(Kept, OneByOne);
        var (gate, handler, later) = (new TaskCompletionSource(), new CollectingHandler(), new CollectingHandler());
        var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Gated(gate.Task), Cancellation);
        await PublishAsync(broker, 1, 3);
        await handler.WaitFor(1);

        var ending = subscription.DisposeAsync().AsTask();
        // As soon as it takes no more, only the handler can be what it waits for.
        await UntilAsync(async () => await _channel.ConsumerCountAsync("one-orders", Cancellation) == 0);
        Assert.False(ending.IsCompleted);
        gate.SetResult();
        await ending;
        await using var again = await broker.SubscribeAsync(Subscription("one"), later.Handle, Cancellation);

        Assert.Equal(["2", "3"], await later.WaitFor(2));
        Assert.Equal(["1"], handler.Received);
        await subscription.DisposeAsync();
    }

    [Fact]
    public async Task A_queue_that_somebody_deleted_is_made_again()
    {
        await using var broker = await OpenAsync(("reconnectWaitSeconds", "10ms"));
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription("one"), handler.Handle, Cancellation);

        await _channel.QueueDeleteAsync("one-orders", cancellationToken: Cancellation);
        await UntilAsync(async () =>
        {
            await PublishAsync(broker, 1, 1);
            return handler.Received.Count > 0;
        });
    }

    [Fact]
    public async Task An_exchange_of_another_kind_is_told_to_the_publisher_and_is_no_matter_of_other_topics()
    {
        await using var broker = await OpenAsync(Confirmed);
        await _channel.ExchangeDeclareAsync("orders", "direct", cancellationToken: Cancellation);
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription("one", "stock"), handler.Handle, Cancellation);

        var refused = Assert.ThrowsAsync<IOException>(() => broker.PublishAsync("orders", Message("1"), Cancellation));
        await PublishAsync(broker, 1, 50, "stock");

        Assert.Contains("inequivalent arg 'type'", (await refused).Message, StringComparison.Ordinal);
        Assert.Subset((await handler.WaitFor(50)).ToHashSet(), Enumerable.Range(1, 50).Select(n => $"{n}").ToHashSet());
    }

    [Fact]
    public async Task A_server_that_does_not_take_us_is_told_at_the_start()
    {
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => OpenAsync(_server.ConnectionString("nowhere")));

        Assert.Contains($"{RabbitMqServer.Host}:{_server.Port}", refused.Message, StringComparison.Ordinal);
        Assert.Contains("vhost nowhere not found", refused.Message, StringComparison.Ordinal);
    }

    internal static TopicSubscription Subscription(string consumer, string topic = "orders", params (string, string)[] metadata) =>
        new(topic, consumer, metadata.ToDictionary(field => field.Item1, field => field.Item2));

    internal static BrokerMessage Message(string text, params (string, string)[] metadata) =>
        new(Bytes(text), null, metadata.Length == 0 ? null : metadata.ToDictionary(field => field.Item1, field => field.Item2));

    internal static async Task<IPubSub> OpenAsync(string connectionString, params (string, string)[] fields) => (IPubSub)await RabbitMqPubSub.ComponentType.Create(
        Metadata([("connectionString", connectionString), .. fields]),
        new ComponentContext("pubsub", TimeProvider.System, NullLoggerFactory.Instance),
        Cancellation);

    internal static ComponentMetadata Metadata(params (string, string)[] fields) => BrokerTests.Metadata("pubsub.rabbitmq", fields);

    internal static Task UntilAsync(Func<Task<bool>> holds) => BrokerTests.UntilAsync(holds, TimeSpan.FromMinutes(2));

    /// <summary>In the queue, in nobody's hand.</summary>
    private async Task<uint> WaitingAsync(string queue) => await _channel.MessageCountAsync(queue, Cancellation);

    private Task<IPubSub> OpenAsync(params (string, string)[] fields) => OpenAsync(_server.ConnectionString(_virtualHost), fields);
}
