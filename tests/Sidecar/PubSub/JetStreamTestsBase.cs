using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.PubSub.JetStream;
using NATS.Client.Core;
using NATS.Client.JetStream;
using NATS.Client.JetStream.Models;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>A NATS server for each test, with a stream for the topic orders.</summary>
public abstract class JetStreamTestsBase : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private NatsServer _server = null!;
    private NatsConnection _connection = null!;

    private protected static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private protected static TopicSubscription Orders { get; } = new("orders", "app", new Dictionary<string, string>());

    private protected NatsServer Server => _server;

    private protected NatsJSContext JetStream => new(_connection);

    public async ValueTask InitializeAsync()
    {
        ServerProgram.Require(NatsServer.Missing);
        _server = await NatsServer.StartAsync(Cancellation);
        _connection = new NatsConnection(new NatsOpts { Url = _server.Url, ReconnectWaitMin = TimeSpan.FromMilliseconds(50) });
        await _server.AddStreamsAsync(["orders"], Cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is null)
            return;
        await _connection.DisposeAsync();
        await _server.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    private protected static IEnumerable<string> Numbers(int from, int to) => Enumerable.Range(from, to - from + 1).Select(n => $"{n}");

    private protected static Task UntilAsync(Func<Task<bool>> holds) => BrokerTests.UntilAsync(holds, Limit);

    private protected static ComponentMetadata Metadata(params (string Name, string Value)[] fields) => BrokerTests.Metadata("pubsub.jetstream", fields);

    private protected async Task<ConsumerInfo> ConsumerAsync(string name) => (await JetStream.GetConsumerAsync("orders", name, Cancellation)).Info;

    private protected Task<IPubSub> OpenAsync(string durable, params (string Name, string Value)[] fields) => OpenAsync(durable, new WrittenLog(), fields);

    /// <summary>As the component of one application, whose replicas share; without a name each subscription is by itself.</summary>
    private protected async Task<IPubSub> OpenAsync(
        string durable, WrittenLog log, IReadOnlyCollection<(string Name, string Value)> fields, int? port = null, TimeProvider? time = null)
    {
        (string Name, string Value)[] own = [("natsURL", $"nats://{NatsServer.Host}:{port ?? _server.Port}"), ("durableName", durable), ("queueGroupName", durable)];
        return (IPubSub)await JetStreamPubSub.ComponentType.Create(
            Metadata([.. own.Where(field => fields.All(one => one.Name != field.Name)), .. fields]),
            new ComponentContext("pubsub", time ?? TimeProvider.System, log),
            Cancellation);
    }

    private protected Task<IPubSub> OpenAsync(string durable, WrittenLog log, params (string Name, string Value)[] fields) =>
        OpenAsync(durable, log, (IReadOnlyCollection<(string, string)>)fields);
}
