using System.Collections.Concurrent;
using System.Collections.Immutable;
using EmbeddedSidecar.Components.State;

namespace EmbeddedSidecar.Actors;

/// <summary>
/// Which sidecars of the process host which actor types, and the way to an actor: what the placement service is to daprd. Several
/// hosts of a type share its actors by a stable hash. When that changes, moved actors are first drained at their old host.
/// </summary>
internal sealed class ActorPlacement(TimeProvider time, ILogger logger) : IAsyncDisposable
{
    private static readonly TimeSpan PatienceForHost = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan GoneAppPollInterval = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, Lazy<ActorReminders>> _reminders = new();
    private ImmutableDictionary<string, HostSet> _types = ImmutableDictionary<string, HostSet>.Empty;
    private ImmutableHashSet<ActorHost> _suspended = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The hosts of one type, in the order of their names. Calls wait for <c>Drained</c>.</summary>
    private sealed record HostSet(ImmutableArray<ActorHost> Hosts, Task Drained)
    {
        /// <summary>Rendezvous hashing: when a host comes or goes, only the actors of its own share move.</summary>
        public ActorHost Of(ActorKey actor) => Hosts.Length == 1 ? Hosts[0] : Hosts.MaxBy(host => HashCode.Combine(actor, host.Name))!;
    }

    public bool IsHosted(string type) => _types.ContainsKey(type);

    /// <summary>From now on the host gets its share of the actors of its types.</summary>
    public void Join(ActorHost host)
    {
        lock (_gate)
        {
            _suspended = _suspended.Remove(host);
            foreach (var type in host.Types.Keys)
            {
                var hosts = Hosts(type);
                if (!hosts.Contains(host))
                    Replace(type, [.. hosts.Add(host).OrderBy(each => each.Name, StringComparer.Ordinal)], appGone: null);
            }
            Announce();
        }
    }

    /// <summary>Ends when the host's running turns have ended, or its drain timeout has, and its application knows that no actor is active.</summary>
    public Task LeaveAsync(ActorHost host)
    {
        lock (_gate)
        {
            _suspended = _suspended.Remove(host);
            return Remove(host, appGone: false);
        }
    }

    /// <summary>Ends when some running application hosts the type.</summary>
    public async Task WaitForHostAsync(string type, CancellationToken cancellationToken)
    {
        while (true)
        {
            var changed = Volatile.Read(ref _changed).Task;
            if (IsHosted(type))
                return;
            await changed.WaitAsync(cancellationToken);
        }
    }

    /// <summary>The reminders of an application; those that <paramref name="store"/> kept fire from now on.</summary>
    public async Task<ActorReminders> StartRemindersAsync(string appId, IStateStore? store, CancellationToken cancellationToken)
    {
        var reminders = _reminders.GetOrAdd(appId, _ => new Lazy<ActorReminders>(
            () => new ActorReminders(store is null ? null : new ReminderStore(store, appId), InvokeAsync, WaitForHostAsync, time, logger))).Value;
        await reminders.StartAsync(cancellationToken);
        return reminders;
    }

    /// <summary>Those that are kept in this store fire no more, until somebody starts them again from another one.</summary>
    public async Task ForgetRemindersAsync(string appId, IStateStore? store)
    {
        if (_reminders.TryGetValue(appId, out var reminders) && reminders.Value.IsKeptIn(store) && _reminders.TryRemove(new(appId, reminders)))
            await reminders.Value.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var reminders in _reminders.Values)
            await reminders.Value.DisposeAsync();
        _reminders.Clear();
    }

    /// <exception cref="ActorCallException"/>
    /// <exception cref="ActorStackDepthException"/>
    public async Task<ActorReply> InvokeAsync(ActorCall call, CancellationToken cancellationToken)
    {
        while (true)
        {
            var hosts = await FindAsync(call.Actor, cancellationToken);
            var host = hosts.Of(call.Actor);
            try
            {
                return await host.InvokeAsync(call, () => ReferenceEquals(_types.GetValueOrDefault(call.Actor.Type), hosts), cancellationToken);
            }
            catch (ActorClosedException)
            {
                // Deactivated or moved before its turn came: the next look-up finds where it is now.
            }
            catch (ActorCallException e) when (e.Failure == ActorFailure.AppGone && TrySuspend(host, call.Actor.Type))
            {
                // Another replica takes the actor over; nothing of the call had reached the application.
            }
            catch (ActorCallException e) when (call.IsRemoteFor(host))
            {
                throw new ActorCallException(e.Failure, $"rpc error: code = Internal desc = error invoke actor method: {e.Message}", e)
                {
                    RemoteMessage = e.Message,
                };
            }
        }
    }

    private async ValueTask<HostSet> FindAsync(ActorKey actor, CancellationToken cancellationToken)
    {
        if (!_types.TryGetValue(actor.Type, out var hosts))
        {
            using var patience = new CancellationTokenSource(PatienceForHost, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
            try
            {
                await WaitForHostAsync(actor.Type, either.Token);
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw new ActorCallException(
                    ActorFailure.NoHost,
                    $"failed to lookup actor: api error: code = FailedPrecondition desc = did not find address for actor '{actor.Type}/{actor.Id}'",
                    e);
            }
            return await FindAsync(actor, cancellationToken);
        }
        if (!hosts.Drained.IsCompleted)
            await hosts.Drained.WaitAsync(cancellationToken);
        return hosts;
    }

    /// <summary>An application that nobody reaches hosts nothing while another replica can; it is asked every second whether it is back.</summary>
    private bool TrySuspend(ActorHost host, string type)
    {
        lock (_gate)
        {
            if (Hosts(type) is not { Length: > 1 } hosts)
                return false;
            if (!hosts.Contains(host))
                return true;
            logger.LogWarning("The application of {Host} is gone: its actors move to the other replicas until it is back", host.Name);
            _suspended = _suspended.Add(host);
            _ = Remove(host, appGone: true);
        }
        _ = RejoinWhenBackAsync(host);
        return true;
    }

    private async Task RejoinWhenBackAsync(ActorHost host)
    {
        using var timer = new PeriodicTimer(GoneAppPollInterval, time);
        while (await timer.WaitForNextTickAsync() && _suspended.Contains(host))
        {
            if (!await host.IsAppReachableAsync(CancellationToken.None))
                continue;
            lock (_gate)
            {
                if (!_suspended.Contains(host))
                    return;
                logger.LogInformation("The application of {Host} is back and takes its share of the actors", host.Name);
                Join(host);
            }
            return;
        }
    }

    private Task Remove(ActorHost host, bool appGone)
    {
        var drains = new List<Task>();
        foreach (var type in host.Types.Keys)
        {
            var hosts = Hosts(type);
            if (hosts.Contains(host))
                drains.Add(Replace(type, hosts.Remove(host), appGone ? host : null));
        }
        Announce();
        // Also what was activated by calls that looked the actor up just before.
        drains.Add(host.DeactivateAsync(_ => true, appGone, CancellationToken.None));
        return Task.WhenAll(drains);
    }

    private Task Replace(string type, ImmutableArray<ActorHost> hosts, ActorHost? appGone)
    {
        var old = Hosts(type);
        var drained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var next = new HostSet(hosts, drained.Task);
        // First the new set, then the drain: a call that comes to its turn after this sees that its look-up is stale.
        _types = hosts.IsEmpty ? _types.Remove(type) : _types.SetItem(type, next);
        _ = DrainAsync();
        return drained.Task;

        async Task DrainAsync()
        {
            try
            {
                await Task.WhenAll(old.Select(host => host.DeactivateAsync(
                    actor => actor.Type == type && (hosts.IsEmpty || next.Of(actor) != host), host == appGone, CancellationToken.None)));
            }
            catch (Exception e)
            {
                logger.LogError(e, "Actors of type {ActorType} could not be drained", type);
            }
            finally
            {
                drained.SetResult();
            }
        }
    }

    private ImmutableArray<ActorHost> Hosts(string type) => _types.TryGetValue(type, out var hosts) ? hosts.Hosts : [];

    private void Announce() => Interlocked.Exchange(ref _changed, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
}
