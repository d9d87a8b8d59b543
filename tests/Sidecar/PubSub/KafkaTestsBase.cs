using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.PubSub.Kafka;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>librdkafka's imitation of Kafka for each test class, and topics of its own for each test.</summary>
public abstract class KafkaTestsBase : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>A member of which the broker hears nothing for so long, on a busy machine, too, is out of its group, and what it has comes to others again.</summary>
    private protected virtual string SessionTimeout => "10s";

    private protected KafkaServer Server { get; private set; } = null!;

    private protected static TopicSubscription Orders { get; } = new("orders", "app", new Dictionary<string, string>());

    public async ValueTask InitializeAsync() => Server = await KafkaServer.StartAsync(Cancellation);

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected static IEnumerable<string> Numbers(int from, int to) => Enumerable.Range(from, to - from + 1).Select(n => $"{n}");

    private protected static Task UntilAsync(Func<bool> holds) => BrokerTests.UntilAsync(() => Task.FromResult(holds()), Limit);

    private protected Task<IPubSub> OpenAsync(params (string Name, string Value)[] fields) => OpenAsync(new WrittenLog(), fields);

    /// <summary>Reads from the beginning, and handles what failed soon again.</summary>
    private protected async Task<IPubSub> OpenAsync(WrittenLog log, params (string Name, string Value)[] fields)
    {
        (string Name, string Value)[] own =
        [
            ("brokers", Server.Address), ("authType", "none"), ("initialOffset", "oldest"), ("backOffDuration", "100ms"), ("heartbeatInterval", "200ms"),
            ("sessionTimeout", SessionTimeout),
        ];
        return (IPubSub)await KafkaPubSub.ComponentType.Create(
            BrokerTests.Metadata("pubsub.kafka", [.. own.Where(field => fields.All(one => one.Name != field.Name)), .. fields]),
            new ComponentContext("pubsub", TimeProvider.System, log),
            Cancellation);
    }

    /// <summary>Each number is a message, all of them in one partition, so in order.</summary>
    private protected static async Task PublishAsync(IPubSub broker, int from, int to, string topic = "orders", string key = "one") =>
        Assert.All(
            await broker.PublishManyAsync(
                topic,
                [.. Numbers(from, to).Select(n => new BrokerMessage(BrokerTests.Bytes(n), null, new Dictionary<string, string> { ["partitionKey"] = key }))],
                Cancellation),
            Assert.Null);
}
