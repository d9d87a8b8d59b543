using System.Collections.Concurrent;
using System.Text.Json;
using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Api;
using EmbeddedSidecar.Api.Configuration;
using EmbeddedSidecar.Api.PubSub;
using EmbeddedSidecar.Api.State;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Hosting;

/// <summary>What the APIs of one application's sidecar share.</summary>
internal sealed class SidecarRuntime
{
    /// <summary>The daprd whose behaviour is the model; the metadata API tells it.</summary>
    public const string DaprVersion = "1.18.1";

    public const string RuntimeVersionEntry = "daprRuntimeVersion";

    private readonly ConcurrentDictionary<string, bool> _missing = new();
    private readonly TaskCompletionSource<bool> _shutdown = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private LoadedResources _loaded;

    public SidecarRuntime(
        SidecarOptions options, SharedParts shared, ResourceSet declared, ConfigurationResource configuration, IReadOnlyList<LoadedComponent> components)
    {
        Options = options;
        Shared = shared;
        Logger = shared.LoggerFactory.CreateLogger(LogCategory(options.AppId));
        Metrics = new SidecarMetrics(options.AppId, options.AppHealthCheck?.Path);
        _loaded = new LoadedResources(this, declared, configuration, components, before: null);
        Outboxes = new OutboxRelay(this);
        Subscriptions = new Subscriptions(this);
        Streams = new StreamingSubscriptions(this);
        ConfigurationSubscriptions = new ConfigurationSubscriptions(this);
        App = options.AppPort > 0 ? new AppChannel(options, Metrics, shared.BeforeCall, shared.Time) : null;
        Actors = new SidecarActors(this, shared.Placement);
        Parts = SidecarApis.Parts(this);
    }

    public SidecarOptions Options { get; }

    public SharedParts Shared { get; }

    public TimeProvider Time => Shared.Time;

    public ILogger Logger { get; }

    public SidecarMetrics Metrics { get; }

    /// <summary>What the files declare, as of now; whoever uses several parts of it together reads it once.</summary>
    public LoadedResources Loaded => Volatile.Read(ref _loaded);

    internal OutboxRelay Outboxes { get; }

    public Subscriptions Subscriptions { get; }

    public StreamingSubscriptions Streams { get; }

    internal ConfigurationSubscriptions ConfigurationSubscriptions { get; }

    /// <summary>Null when the application takes no calls (no app port).</summary>
    public AppChannel? App { get; }

    /// <summary>The policies in scope of this application.</summary>
    public ResiliencyPolicies Resiliency => Loaded.Resiliency;

    internal SidecarActors Actors { get; }

    public IReadOnlyList<ISidecarPart> Parts { get; }

    /// <summary>What the application answered to GET /dapr/config; null until then, and when it answered nothing of use.</summary>
    public JsonElement? AppConfiguration { get; internal set; }

    /// <summary>/v1.0/healthz: the application was asked all there is to ask, and the parts are at work.</summary>
    public bool IsReady { get; internal set; }

    /// <summary>The ports in use, known once the sidecar listens.</summary>
    public int HttpPort { get; internal set; }

    public int GrpcPort { get; internal set; }

    public int? MetricsPort { get; internal set; }

    /// <summary>PUT /v1.0/metadata/{key}.</summary>
    public ConcurrentDictionary<string, string> ExtendedMetadata { get; } = new();

    /// <summary>Completes when the application asked for the end of its sidecar (POST /v1.0/shutdown); true: at once, whatever runs.</summary>
    public Task<bool> ShutdownRequested => _shutdown.Task;

    /// <exception cref="ApiException">There is no such store.</exception>
    public StateStoreComponent StateStore(string name)
    {
        var stores = Loaded.StateStores;
        return stores.TryGetValue(name, out var store) ? store
            : throw (stores.Count == 0 ? StateErrors.NotConfigured(name, Options.AppId) : StateErrors.NotFound(name, Options.AppId));
    }

    /// <summary>What is loaded now stays usable until <see cref="LoadedResources.Leave"/>, or until the wait for that is over.</summary>
    internal LoadedResources Enter()
    {
        while (true)
        {
            var loaded = Loaded;
            loaded.Enter();
            if (ReferenceEquals(loaded, Loaded))
                return loaded;
            // Exchanged meanwhile, and maybe found without requests already.
            loaded.Leave();
        }
    }

    /// <summary>As at the start: nothing is known of the application.</summary>
    internal void ForgetApp()
    {
        IsReady = false;
        AppConfiguration = null;
        if (App is not null && Options.AppHealthCheck is not null)
            App.IsHealthy = false;
        ExtendedMetadata.Clear();
    }

    internal void Exchange(LoadedResources loaded) => Interlocked.Exchange(ref _loaded, loaded);

    /// <summary>Under which the sidecar of an application logs.</summary>
    internal static string LogCategory(string appId) => $"EmbeddedSidecar.{appId}";

    /// <summary>The application called for what is not here. The first call is an error, which the console shows wherever the log goes.</summary>
    internal void TellMissing(string call, string missing)
    {
        if (_missing.TryAdd(missing, true))
            Logger.LogError("{AppId} called {Method}, but the embedded sidecar has no {Missing}", Options.AppId, call, missing);
    }

    internal void RequestShutdown(bool atOnce) => _shutdown.TrySetResult(atOnce);
}
