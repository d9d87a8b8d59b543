using System.CommandLine;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.Stock;

namespace DaprOrders.Bench.EventStores;

/// <summary>
/// The embedded sidecar in this process, with state and pub/sub in SQLite files of a temporary folder, or the state where a
/// component file says: one sidecar of the application that writes, one of an application that has subscribed, so that what is published is kept
/// whether that application runs or not.
/// </summary>
internal sealed class BenchSidecars : IAsyncDisposable
{
    private const string Writer = "writer";
    private const string Subscriber = "subscriber";

    private readonly DirectoryInfo _folder;
    private readonly EmbeddedDapr _dapr;

    private BenchSidecars(DirectoryInfo folder, EmbeddedDapr dapr, int listenerPort) => (_folder, _dapr, ListenerPort) = (folder, dapr, listenerPort);

    public static Option<FileInfo?> State { get; } = new("--state")
    {
        Description = "A component file of a state store named statestore; without it, SQLite in a temporary folder",
    };

    /// <summary>Where a <see cref="Listener"/> gets the events.</summary>
    public int ListenerPort { get; }

    public static async Task<BenchSidecars> StartAsync(FileInfo? state, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("daprorders-bench-");
        var port = Listener.FreePort();
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "components.yaml"), Resources(folder.FullName), cancellationToken);
        var statestore = Path.Combine(folder.FullName, "statestore.yaml");
        if (state is null)
            await File.WriteAllTextAsync(statestore, Sqlite(folder.FullName), cancellationToken);
        else
            state.CopyTo(statestore);
        var dapr = await EmbeddedDapr.StartAsync(
            new EmbeddedDaprOptions
            {
                Apps = [new SidecarOptions { AppId = Writer }, new SidecarOptions { AppId = Subscriber, AppPort = port }],
                ResourcesPaths = [folder.FullName],
            },
            cancellationToken);
        return new BenchSidecars(folder, dapr, port);
    }

    public Task SubscriberReady => _dapr[Subscriber].Ready;

    /// <summary>An application with an event store, as a service builds it; always the same instance, so it takes its lane back at once.</summary>
    public async Task<RunningStore> StartStoreAsync(
        bool groupCommit, CancellationToken cancellationToken, IEventPublisher? publisher = null)
    {
        var builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Dapr:AppId"] = Writer,
            ["EventStore:Instance"] = Writer,
            ["EventStore:MaxBatch"] = groupCommit ? "256" : "1",
        });
        builder.Logging.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace).SetMinimumLevel(LogLevel.Warning);
        builder.Configuration["DAPR_GRPC_PORT"] = $"{_dapr[Writer].GrpcPort}";
        builder.Services.AddDaprClient(client => client.UseGrpcEndpoint($"http://127.0.0.1:{_dapr[Writer].GrpcPort}"));
        if (publisher is not null)
            builder.Services.AddSingleton(publisher);
        builder.Services.AddEventStore(types => types.Add<Ticked>().AddFamily<StockEvent>());
        var host = builder.Build();
        var store = host.Services.GetRequiredService<EventStore>();
        await host.StartAsync(cancellationToken);
        await store.Ready.WaitAsync(cancellationToken);
        return new RunningStore(host, store);
    }

    public async ValueTask DisposeAsync()
    {
        await _dapr.DisposeAsync();
        try
        {
            _folder.Delete(recursive: true);
        }
        catch (IOException exception)
        {
            await Console.Error.WriteLineAsync($"{_folder.FullName} was not removed: {exception.Message}");
        }
    }

    private static string Sqlite(string folder) => $"""
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata:
          name: statestore
        spec:
          type: state.sqlite
          version: v1
          metadata:
            - name: connectionString
              value: {Portable(folder)}/state.db
        """;

    private static string Resources(string folder) => $"""
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata:
          name: pubsub
        spec:
          type: pubsub.sqlite
          version: v1
          metadata:
            - name: connectionString
              value: {Portable(folder)}/pubsub.db
        ---
        apiVersion: dapr.io/v2alpha1
        kind: Subscription
        metadata:
          name: ticks
        spec:
          pubsubname: pubsub
          topic: {Ticks.Topic}
          routes:
            default: /{Ticks.Topic}
          bulkSubscribe:
            enabled: true
            maxMessagesCount: 100
            maxAwaitDurationMs: 5
        scopes: [{Subscriber}]
        """;

    private static string Portable(string folder) => folder.Replace('\\', '/');
}

/// <summary>One application with its event store.</summary>
internal sealed class RunningStore(IHost host, EventStore store) : IAsyncDisposable
{
    private static readonly TimeSpan StopWithin = TimeSpan.FromMinutes(5);

    public EventStore Store => store;

    /// <summary>Returns when everything that is committed is published, too.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(StopWithin);
        await store.StopAsync(limit.Token);
    }

    /// <summary>Leaves everything as it is, as an end without warning does.</summary>
    public async Task AbandonAsync()
    {
        try
        {
            await store.StopAsync(new CancellationToken(canceled: true));
        }
        catch (OperationCanceledException)
        {
            // What was asked for: nothing was waited for, the lane is not given back.
        }
    }

    public ValueTask DisposeAsync()
    {
        host.Dispose();
        return ValueTask.CompletedTask;
    }
}
