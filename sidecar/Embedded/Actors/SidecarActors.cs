using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Api.State;
using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Actors;

/// <summary>The actors of one sidecar: those that its application hosts, its timers, and its way to the actors of others.</summary>
internal sealed class SidecarActors : ISidecarPart
{
    private readonly SidecarRuntime _runtime;
    private readonly ActorPlacement _placement;
    private StateStoreComponent? _store;

    internal SidecarActors(SidecarRuntime runtime, ActorPlacement placement)
    {
        _runtime = runtime;
        _placement = placement;
        State = new ActorState(runtime, actor => Host?.IsActive(actor) == true);
    }

    /// <summary>Null while the application hosts no actor type, or is not healthy.</summary>
    internal ActorHost? Host { get; private set; }

    internal ActorState State { get; }

    /// <summary>Null as <see cref="Host"/>.</summary>
    internal ActorTimers? Timers { get; private set; }

    internal ActorReminders? Reminders { get; private set; }

    internal bool Hosts(string type) => Host?.Types.ContainsKey(type) == true;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (!_runtime.Options.PlacementEnabled || _runtime.App is not { } app || _runtime.AppConfiguration is not { } configuration
            || ActorSettings.Read(configuration, Tell) is not { Count: > 0 } types)
            return;

        _store = _runtime.Loaded.ActorStore;
        if (_store is null)
        {
            _runtime.Logger.LogWarning(
                "{AppId} hosts actors, but no state store has actorStateStore \"true\": actor state is refused, and reminders are forgotten when the process ends",
                _runtime.Options.AppId);
        }
        Host = new ActorHost(_runtime.Options, types, app.SendAsync, _runtime.Resiliency.ForActorTurn, _runtime.Metrics, _runtime.Time, _runtime.Logger);
        Timers = new ActorTimers(_placement.InvokeAsync, _runtime.Time, _runtime.Logger);
        Reminders = await _placement.StartRemindersAsync(_runtime.Options.AppId, _store?.Store, cancellationToken);
        _placement.Join(Host);
        _runtime.Logger.LogInformation("{AppId} hosts the actor types {ActorTypes}", _runtime.Options.AppId, types.Keys);
    }

    /// <summary>Actors and reminders go over to another store only from a standstill.</summary>
    public async Task FollowAsync(CancellationToken cancellationToken)
    {
        if (Host is null || ReferenceEquals(_store, _runtime.Loaded.ActorStore))
            return;
        await StopAsync(cancellationToken);
        await _placement.ForgetRemindersAsync(_runtime.Options.AppId, _store?.Store);
        await StartAsync(cancellationToken);
    }

    private void Tell(string mistake) =>
        _runtime.Logger.LogError("GET /dapr/config of {AppId}: {Mistake}", _runtime.Options.AppId, mistake);

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (Host is not { } host)
            return;
        await Timers!.DisposeAsync();
        await _placement.LeaveAsync(host).WaitAsync(cancellationToken);
        Host = null;
        Timers = null;
        Reminders = null;
    }

    /// <summary>Calls an actor wherever it is, under the retries and the breaker of its type.</summary>
    /// <exception cref="ActorCallException"/>
    /// <exception cref="ActorStackDepthException"/>
    /// <exception cref="Resiliency.CircuitBreakerOpenException"/>
    internal async Task<ActorReply> InvokeAsync(ActorCall call, CancellationToken cancellationToken)
    {
        if (_runtime.Resiliency.ForActor(call.Actor.Type, call.Actor.Id) is not { } policy)
            return await _placement.InvokeAsync(call, cancellationToken);

        // What asking again cannot mend passes the retries by.
        Exception? final = null;
        var reply = await policy.ExecuteAsync<ActorReply?>(
            async attempt =>
            {
                try
                {
                    return await _placement.InvokeAsync(call, attempt);
                }
                catch (Exception e) when (e is ActorStackDepthException or ActorCallException { Failure: ActorFailure.NoSuchMethod })
                {
                    final = e;
                    return null;
                }
            },
            cancellationToken);
        return reply ?? throw final!;
    }

    public void Describe(GetMetadataResponse metadata)
    {
        if (!_runtime.Options.PlacementEnabled || _runtime.App is null)
            return;
        metadata.ActorRuntime = new ActorRuntime
        {
            RuntimeStatus = ActorRuntime.Types.ActorRuntimeStatus.Running,
            Placement = "placement: connected",
            HostReady = true,
        };
        foreach (var (type, count) in Host?.Count() ?? [])
            metadata.ActorRuntime.ActiveActors.Add(new ActiveActorsCount { Type = type, Count = count });
    }
}
