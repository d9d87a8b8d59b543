using System.Text;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.PubSub.InMemory;
using EmbeddedSidecar.Components.PubSub.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>What every pub/sub component of the sidecar must do alike.</summary>
public abstract class PubSubComponentContract
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_consumer_gets_every_message_of_its_topic_in_order()
    {
        await using var broker = Open();
        var (first, second, other) = (new CollectingHandler(), new CollectingHandler(), new CollectingHandler());
        await using var one = await broker.SubscribeAsync(Subscription("orders", "one"), first.Gated(Task.CompletedTask), Cancellation);
        await using var two = await broker.SubscribeAsync(Subscription("orders", "two"), second.Gated(Task.CompletedTask), Cancellation);
        await using var three = await broker.SubscribeAsync(Subscription("stock", "two"), other.Handle, Cancellation);

        await Publish(broker, "orders", 1, 50);

        var expected = Enumerable.Range(1, 50).Select(n => $"{n}");
        Assert.Equal(expected, await first.WaitFor(50));
        Assert.Equal(expected, await second.WaitFor(50));
        Assert.Empty(other.Received);
    }

    [Fact]
    public async Task Replicas_with_one_consumer_id_share_the_messages()
    {
        await using var broker = Open();
        var gate = new TaskCompletionSource();
        var handler = new CollectingHandler();
        await using var one = await broker.SubscribeAsync(Subscription("orders", "app"), handler.Gated(gate.Task), Cancellation);
        await using var two = await broker.SubscribeAsync(Subscription("orders", "app"), handler.Gated(gate.Task), Cancellation);

        await Publish(broker, "orders", 1, 20);
        await handler.WaitFor(2);
        gate.SetResult();

        Assert.Equal(Enumerable.Range(1, 20), (await handler.WaitFor(20)).Select(int.Parse).Order());
    }

    [Fact]
    public async Task Messages_with_and_without_metadata_arrive_as_they_were_published()
    {
        await using var broker = Open();
        var received = new List<BrokerMessage>();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(
            Subscription("orders", "app"),
            (message, stop) =>
            {
                received.Add(message);
                return handler.Handle(message, stop);
            },
            Cancellation);

        await broker.PublishAsync("orders", new(Bytes("bare"), null, null), Cancellation);
        await handler.WaitFor(1);
        await broker.PublishAsync("orders", new(Bytes("full"), "text/plain", new Dictionary<string, string> { ["a"] = "b" }), Cancellation);
        await handler.WaitFor(2);

        Assert.Null(received[0].Metadata);
        Assert.Null(received[0].ContentType);
        Assert.Equal("b", received[1].Metadata!["a"]);
        Assert.Equal("text/plain", received[1].ContentType);
    }

    [Fact]
    public async Task A_subscription_that_was_disposed_gets_nothing_more_and_its_running_handler_has_ended()
    {
        await using var broker = Open();
        var gate = new TaskCompletionSource();
        var handler = new CollectingHandler();
        var subscription = await broker.SubscribeAsync(Subscription("orders", "app"), handler.Gated(gate.Task), Cancellation);
        await Publish(broker, "orders", 1, 1);
        await handler.WaitFor(1);

        var disposing = subscription.DisposeAsync().AsTask();
        Assert.False(disposing.IsCompleted);
        gate.SetResult();
        await disposing;
        await Publish(broker, "orders", 2, 2);

        Assert.Equal(["1"], handler.Received);
    }

    private protected abstract IPubSub Open();

    private protected static TopicSubscription Subscription(string topic, string consumer) => new(topic, consumer, new Dictionary<string, string>());

    private protected static async Task Publish(IPubSub broker, string topic, int from, int to)
    {
        for (var n = from; n <= to; n++)
            await broker.PublishAsync(topic, new(Bytes($"{n}"), null, null), Cancellation);
    }

    private protected static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);
}

public sealed class InMemoryPubSubTests : PubSubComponentContract
{
    [Fact]
    public async Task One_message_of_a_subscription_is_handled_at_a_time()
    {
        await using var broker = Open();
        var gate = new TaskCompletionSource();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription("orders", "app"), handler.Gated(gate.Task), TestContext.Current.CancellationToken);

        await Publish(broker, "orders", 1, 10);
        gate.SetResult();
        await handler.WaitFor(10);

        Assert.Equal(1, handler.MostAtOnce);
    }

    [Fact]
    public async Task A_failed_message_is_gone()
    {
        await using var broker = Open();
        var handler = new CollectingHandler(text => text == "1" ? DeliveryResult.Failed : DeliveryResult.Done);
        await using var subscription = await broker.SubscribeAsync(Subscription("orders", "app"), handler.Handle, TestContext.Current.CancellationToken);

        await Publish(broker, "orders", 1, 3);

        Assert.Equal(["1", "2", "3"], await handler.WaitFor(3));
    }

    [Fact]
    public async Task A_trailing_star_subscribes_to_every_topic_that_begins_so()
    {
        await using var broker = Open();
        var handler = new CollectingHandler();
        await using var subscription = await broker.SubscribeAsync(Subscription("orders/*", "app"), handler.Handle, TestContext.Current.CancellationToken);

        await Publish(broker, "orders/eu", 1, 1);
        await Publish(broker, "stock", 2, 2);
        await Publish(broker, "orders/us", 3, 3);

        Assert.Equal(["1", "3"], await handler.WaitFor(2));
    }

    private protected override IPubSub Open() => new InMemoryPubSub(NullLogger<InMemoryPubSub>.Instance);
}

public sealed class SqlitePubSubContractTests : PubSubComponentContract, IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private protected override IPubSub Open() =>
        new SqlitePubSub(new() { Path = _folder.File("pubsub.db") }, NullLogger<SqlitePubSub>.Instance, TimeProvider.System);
}
