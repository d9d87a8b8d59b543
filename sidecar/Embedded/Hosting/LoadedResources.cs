using EmbeddedSidecar.Api.Bindings;
using EmbeddedSidecar.Api.Configuration;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Api.Locks;
using EmbeddedSidecar.Api.PubSub;
using EmbeddedSidecar.Api.Secrets;
using EmbeddedSidecar.Api.State;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.Bindings;
using EmbeddedSidecar.Components.Configuration.Redis;
using EmbeddedSidecar.Components.Locks.Redis;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.Secrets;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Resources;
using EmbeddedSidecar.Tracing;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// What the files declare for one application, and all that was made of it. It does not change: when files do, another one takes its place
/// (<see cref="SidecarRuntime.Exchange"/>), in which a component that is still the same is the same object.
/// </summary>
internal sealed class LoadedResources
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(20);

    private readonly IReadOnlyDictionary<string, IAsyncDisposable> _instances;
    private int _requests;

    /// <param name="runtime">Of the application; its settings must be known.</param>
    /// <param name="declared">What is in the application's scope.</param>
    /// <param name="configuration">Its Configuration.</param>
    /// <param name="components">Of <paramref name="declared"/>, created.</param>
    /// <param name="before">Where policies and Configuration stay what they were: whose components are kept as far as they are the same.</param>
    /// <exception cref="ResourceException">A component's metadata cannot be used.</exception>
    public LoadedResources(
        SidecarRuntime runtime,
        ResourceSet declared,
        ConfigurationResource configuration,
        IReadOnlyList<LoadedComponent> components,
        LoadedResources? before)
    {
        var (options, metrics) = (runtime.Options, runtime.Metrics);
        (Declared, Configuration) = (declared, configuration);
        _instances = components.ToDictionary(component => component.Name, component => component.Instance);
        Components = [.. components.Select(one => IsKept(one) ? before!.Components.First(kept => kept.Name == one.Name) : Shown(one))];
        foreach (var made in components.Where(one => !IsKept(one)))
            metrics.ComponentLoaded(made.Type);
        Resiliency = before?.Resiliency ?? new ResiliencyPolicies(declared.Resiliencies, runtime.Time, runtime.Logger);
        ApiAccess = before?.ApiAccess ?? new ApiAccess(configuration);
        AccessControl = configuration.AccessControl is { } rules
            ? before?.AccessControl ?? new(rules, isHttp: options.AppProtocol is not (AppProtocol.Grpc or AppProtocol.Grpcs), metrics)
            : null;
        StateStores = Each<IStateStore, StateStoreComponent>(
            kept => kept.StateStores, one => new(one, options, metrics, Outbound(one, ComponentKind.Statestore)));
        foreach (var store in StateStores.Values)
            store.Outbox ??= Outbox.Of(runtime, store);
        PubSubs = Each<IPubSub, PubSubComponent>(kept => kept.PubSubs, one => new(one, options, metrics, Resiliency));
        SecretStores = Each<ISecretStore, SecretStoreComponent>(
            kept => kept.SecretStores, one => new(one, configuration, metrics, Outbound(one, ComponentKind.Secretstore)));
        OutputBindings = Each<IOutputBinding, OutputBindingComponent>(kept => kept.OutputBindings, one => new(one, metrics, Outbound(one, ComponentKind.Binding)));
        ConfigurationStores = Each<RedisConfigurationStore, ConfigurationStoreComponent>(
            kept => kept.ConfigurationStores, one => new(one, metrics, Outbound(one, ComponentKind.Configuration)));
        LockStores = Each<RedisLockStore, LockStoreComponent>(kept => kept.LockStores, one => new(one, options, Outbound(one, ComponentKind.Lock)));
        Tracing = before is null ? SidecarTracing.For(configuration.Tracing, options.AppId, runtime.Logger) : before.Tracing;

        // One instance may have got other scopes or another consumer id.
        bool IsKept(LoadedComponent one) => ReferenceEquals(before?._instances.GetValueOrDefault(one.Name), _instances[one.Name])
            && before!.Components.First(kept => kept.Name == one.Name).Metadata.IsSame(one.Metadata);

        LoadedComponent Shown(LoadedComponent one) => runtime.Shared.BeforeCall is { } show ? one.Watched(options.AppId, show) : one;

        Polly.ResiliencePipeline? Outbound(LoadedComponent one, ComponentKind kind) => Resiliency.ForComponentOutbound(one.Name, kind);

        Dictionary<string, T> Each<TInstance, T>(Func<LoadedResources, IReadOnlyDictionary<string, T>> kept, Func<LoadedComponent, T> make) => Components
            .Where(one => one.Instance is TInstance).ToDictionary(one => one.Name, one => IsKept(one) ? kept(before!)[one.Name] : make(one));
    }

    public ResourceSet Declared { get; }

    public ConfigurationResource Configuration { get; }

    public ApiAccess ApiAccess { get; }

    /// <summary>What other applications may call; null where they may call everything.</summary>
    public AccessControlList? AccessControl { get; }

    /// <summary>The policies in scope of the application.</summary>
    public ResiliencyPolicies Resiliency { get; }

    public IReadOnlyList<LoadedComponent> Components { get; }

    public IReadOnlyDictionary<string, StateStoreComponent> StateStores { get; }

    public IReadOnlyDictionary<string, PubSubComponent> PubSubs { get; }

    public IReadOnlyDictionary<string, SecretStoreComponent> SecretStores { get; }

    public IReadOnlyDictionary<string, OutputBindingComponent> OutputBindings { get; }

    public IReadOnlyDictionary<string, ConfigurationStoreComponent> ConfigurationStores { get; }

    public IReadOnlyDictionary<string, LockStoreComponent> LockStores { get; }

    /// <summary>Null where nobody takes spans.</summary>
    public SidecarTracing? Tracing { get; }

    public StateStoreComponent? ActorStore => StateStores.Values.FirstOrDefault(store => store.IsActorStore);

    /// <summary>Which the catalog has.</summary>
    public IEnumerable<IAsyncDisposable> Instances => _instances.Values;

    /// <summary>A request may use these from now on; see <see cref="SidecarRuntime.Enter"/>.</summary>
    internal void Enter() => Interlocked.Increment(ref _requests);

    internal void Leave() => Interlocked.Decrement(ref _requests);

    /// <summary>Ends when no request is under way that began with these, or with the token.</summary>
    internal async Task LetRequestsEndAsync(CancellationToken cancellationToken)
    {
        while (Volatile.Read(ref _requests) > 0)
            await Task.Delay(BetweenLooks, cancellationToken);
    }
}
