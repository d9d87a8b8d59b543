using Dapr.Client;
using DaprOrders.EventSourcing.State;
using DaprOrders.Tests.Servers;
using Grpc.Net.Client;

namespace DaprOrders.EventSourcing.Tests.Conformance;

/// <summary>
/// An empty state store behind two sidecars of one application, as two replicas of a service have it. Every store has its own database or file.
/// </summary>
internal sealed class StoreUnderTest : IAsyncDisposable
{
    public const string Component = "statestore";

    private readonly EmbeddedDapr _dapr;
    private readonly DaprClient[] _clients;
    private readonly GrpcChannel[] _channels;
    private readonly string _directory;

    private StoreUnderTest(EmbeddedDapr dapr, string directory)
    {
        (_dapr, _directory) = (dapr, directory);
        _clients = [.. Enumerable.Range(0, dapr.Sidecars.Count).Select(Addresses)
            .Select(address => new DaprClientBuilder().UseHttpEndpoint(address.Http).UseGrpcEndpoint(address.Grpc).Build())];
        _channels = [.. Enumerable.Range(0, dapr.Sidecars.Count).Select(Addresses).Select(address => GrpcChannel.ForAddress(address.Grpc))];
    }

    public static TheoryData<string> All => ["in-memory", "sqlite", "redis", "postgresql", "postgresql-v1"];

    /// <param name="cable">The sidecars reach their server through it.</param>
    public static async Task<StoreUnderTest> OpenAsync(string store, StoreServers servers, CancellationToken cancel, Cable? cable = null)
    {
        ServerProgram.Require(StoreServers.Missing(store));
        var directory = Directory.CreateTempSubdirectory("conformance-").FullName;
        var component = await ComponentAsync(store, servers, directory, cable, cancel);
        var app = new SidecarOptions { AppId = "shop" };
        return new StoreUnderTest(await EmbeddedDapr.StartAsync(new EmbeddedDaprOptions { Apps = [app, app], Resources = component }, cancel), directory);
    }

    /// <summary>The state API as the event store sees it, through one of the two sidecars.</summary>
    public IStateApi Api(int sidecar) =>
        new DaprStateApi(_clients[sidecar], new GrpcBulkStateReads(_channels[sidecar].CreateCallInvoker()), new EventStoreOptions { StateStore = Component });

    /// <summary>The HTTP and the gRPC address of one of the two sidecars.</summary>
    public (string Http, string Grpc) Addresses(int sidecar) =>
        ($"http://127.0.0.1:{_dapr.Sidecars[sidecar].HttpPort}", $"http://127.0.0.1:{_dapr.Sidecars[sidecar].GrpcPort}");

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
            client.Dispose();
        foreach (var channel in _channels)
            channel.Dispose();
        await _dapr.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private static async Task<string> ComponentAsync(
        string store, StoreServers servers, string directory, Cable? cable, CancellationToken cancel)
    {
        switch (store)
        {
            case "sqlite":
                return Resource("state.sqlite", "v1", ("connectionString", Path.Combine(directory, "state.db")));
            case "redis":
                var redis = await servers.RedisAsync();
                return Resource("state.redis", "v1", ("redisHost", $"{RedisServer.Host}:{cable?.Port ?? redis.Port}"), ("redisDB", $"{redis.NewDatabase()}"));
            case "postgresql" or "postgresql-v1":
                var postgres = await servers.PostgresAsync();
                var database = await postgres.NewDatabaseAsync(cancel);
                return Resource("state.postgresql", store == "postgresql" ? "v2" : "v1", ("connectionString", postgres.ConnectionString(database, cable?.Port)));
            default:
                return Resource($"state.{store}", "v1");
        }
    }

    private static string Resource(string type, string version, params (string Name, string Value)[] metadata) => $$"""
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata: {name: {{Component}}}
        spec:
          type: {{type}}
          version: {{version}}
          metadata: [{{string.Join(", ", metadata.Select(item => $"{{name: {item.Name}, value: '{item.Value}'}}"))}}]
        """;
}
