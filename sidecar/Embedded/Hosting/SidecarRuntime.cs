using System.Collections.Concurrent;
using System.Text.Json;
using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Api.Bindings;
using EmbeddedSidecar.Api.Configuration;
using EmbeddedSidecar.Api.Locks;
using EmbeddedSidecar.Api.PubSub;
using EmbeddedSidecar.Api.Secrets;
using EmbeddedSidecar.Api.State;
using EmbeddedSidecar.Api;
using EmbeddedSidecar.Components.Bindings;
using EmbeddedSidecar.Components.Configuration.Redis;
using EmbeddedSidecar.Components.Locks.Redis;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.Secrets;
using EmbeddedSidecar.Components.State;
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

    private readonly TaskCompletionSource<bool> _shutdown = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public SidecarRuntime(SidecarOptions options, SharedParts shared, IReadOnlyList<LoadedComponent> components)
    {
        Options = options;
        Shared = shared;
        Logger = shared.LoggerFactory.CreateLogger(LogCategory(options.AppId));
        Components = shared.BeforeCall is { } before ? [.. components.Select(component => component.Watched(options.AppId, before))] : components;
        Metrics = new SidecarMetrics(options.AppId, options.AppHealthCheck?.Path);
        Resiliency = new ResiliencyPolicies(options.Resources.Resiliencies.Where(r => r.Scopes.Include(options.AppId)), shared.Time);
        StateStores = Of<IStateStore>().ToDictionary(
            c => c.Name, c => new StateStoreComponent(c, options, Metrics, Resiliency.ForComponentOutbound(c.Name, ComponentKind.Statestore)));
        PubSubs = Of<IPubSub>().ToDictionary(c => c.Name, c => new PubSubComponent(c, options, Metrics, Resiliency));
        foreach (var store in StateStores.Values)
            store.Outbox = Outbox.Of(this, store);
        Outboxes = new OutboxRelay(this);
        Subscriptions = new Subscriptions(this);
        Streams = new StreamingSubscriptions(this);
        SecretStores = Of<ISecretStore>().ToDictionary(
            c => c.Name, c => new SecretStoreComponent(c, options, Resiliency.ForComponentOutbound(c.Name, ComponentKind.Secretstore)));
        OutputBindings = Of<IOutputBinding>().ToDictionary(
            c => c.Name, c => new OutputBindingComponent(c, Resiliency.ForComponentOutbound(c.Name, ComponentKind.Binding)));
        ConfigurationStores = Of<RedisConfigurationStore>().ToDictionary(
            c => c.Name, c => new ConfigurationStoreComponent(c, Resiliency.ForComponentOutbound(c.Name, ComponentKind.Configuration)));
        ConfigurationSubscriptions = new ConfigurationSubscriptions(this);
        LockStores = Of<RedisLockStore>().ToDictionary(
            c => c.Name, c => new LockStoreComponent(c, options, Resiliency.ForComponentOutbound(c.Name, ComponentKind.Lock)));
        ApiAccess = new ApiAccess(options.Configuration);
        App = options.AppPort > 0 ? new AppChannel(options, Metrics, shared.BeforeCall, shared.Time) : null;
        Actors = new SidecarActors(this, shared.Placement);
        Parts = SidecarApis.Parts(this);
    }

    public SidecarOptions Options { get; }

    public SharedParts Shared { get; }

    public TimeProvider Time => Shared.Time;

    public ILogger Logger { get; }

    public SidecarMetrics Metrics { get; }

    /// <summary>The components that this application may see.</summary>
    public IReadOnlyList<LoadedComponent> Components { get; }

    public IReadOnlyDictionary<string, StateStoreComponent> StateStores { get; }

    internal OutboxRelay Outboxes { get; }

    public IReadOnlyDictionary<string, PubSubComponent> PubSubs { get; }

    public Subscriptions Subscriptions { get; }

    public StreamingSubscriptions Streams { get; }

    public IReadOnlyDictionary<string, SecretStoreComponent> SecretStores { get; }

    internal IReadOnlyDictionary<string, OutputBindingComponent> OutputBindings { get; }

    /// <summary>Features that the application called for and that are not here: each is told once.</summary>
    internal ConcurrentDictionary<string, bool> Missing { get; } = new();
    public IReadOnlyDictionary<string, ConfigurationStoreComponent> ConfigurationStores { get; }

    internal ConfigurationSubscriptions ConfigurationSubscriptions { get; }

    public IReadOnlyDictionary<string, LockStoreComponent> LockStores { get; }

    /// <summary>Null when the application takes no calls (no app port).</summary>
    public AppChannel? App { get; }

    public ApiAccess ApiAccess { get; }

    /// <summary>The policies in scope of this application.</summary>
    public ResiliencyPolicies Resiliency { get; }

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
    public ConcurrentDictionary<string, string> ExtendedMetadata { get; } = new() { ["daprRuntimeVersion"] = DaprVersion };

    /// <summary>Completes when the application asked for the end of its sidecar (POST /v1.0/shutdown); true: at once, whatever runs.</summary>
    public Task<bool> ShutdownRequested => _shutdown.Task;

    /// <exception cref="ApiException">There is no such store.</exception>
    public StateStoreComponent StateStore(string name) =>
        StateStores.TryGetValue(name, out var store) ? store
        : StateStores.Count == 0 ? throw StateErrors.NotConfigured(name, Options.AppId)
        : throw StateErrors.NotFound(name, Options.AppId);

    /// <summary>Under which the sidecar of an application logs.</summary>
    internal static string LogCategory(string appId) => $"EmbeddedSidecar.{appId}";

    internal void RequestShutdown(bool atOnce) => _shutdown.TrySetResult(atOnce);

    private IEnumerable<LoadedComponent> Of<T>() => Components.Where(component => component.Instance is T);
}
