using System.Collections.Concurrent;
using DaprOrders.EventSourcing.Metrics;
using DaprOrders.EventSourcing.Publishing;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>
/// Gives this instance a lane, a new one when it is lost, and takes care of lanes whose owners are gone: those whose heads have not been
/// written for the time of a lease, by this instance's own watch, since the clocks of machines differ.
/// </summary>
internal sealed class LaneOwnership(
    LaneStorage storage, StoreHistory history, LogReader log, Broker broker, ParkedEvents parked, string incarnation, EventStoreOptions options,
    TimeProvider time, ILogger logger)
{
    private readonly StoreRecovery _recovery = new(storage, history, options, incarnation, time, logger);
    private readonly Wakeup _declared = new();
    private readonly TaskCompletionSource _acquired = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<string, (string ETag, long Since)> _watched = [];
    private readonly Dictionary<string, Task> _adoptions = [];
    private volatile OwnedLane? _lane;
    private bool _sharesItsName;

    /// <summary>Completed when this instance has had a lane.</summary>
    public Task Acquired => _acquired.Task;

    /// <summary>The lane that this instance owns now, if any.</summary>
    public OwnedLane? Present => _lane is { IsLost: false } own ? own : null;

    /// <summary>The lane of this name, if it is this instance's own.</summary>
    public OwnedLane? Own(string lane) => Present is { } own && own.Name == lane ? own : null;

    /// <summary>The lane that this instance owns; waits until it has one. For one caller at a time.</summary>
    /// <exception cref="StoreWentBackException">There is none to be had.</exception>
    public async Task<OwnedLane> CurrentAsync(CancellationToken stop)
    {
        var backoff = new Backoff(time);
        while (_lane is null or { IsLost: true })
        {
            history.ThrowIfWentBack();
            Exception? failure = null;
            try
            {
                _lane = await TryAcquireAsync(stop);
            }
            catch (Exception exception) when (!stop.IsCancellationRequested)
            {
                failure = exception;
            }

            history.ThrowIfWentBack();
            if (_lane is null or { IsLost: true })
            {
                logger.LogWarning(failure, "No lane of the event log could be taken; next try in {Delay}.", backoff.Delay);
                await backoff.WaitAsync(stop);
            }
        }

        _acquired.TrySetResult();
        return _lane;
    }

    /// <summary>Adopts lanes that were left behind, and looks whether the store went back in time, until stopped.</summary>
    public async Task AdoptAsync(CancellationToken stop)
    {
        var isBlind = false;
        while (true)
        {
            try
            {
                await LookAsync(stop);
                isBlind = false;
            }
            catch (Exception exception) when (!stop.IsCancellationRequested)
            {
                // While this instance cannot look, the owners may not be able to write either.
                _watched.Clear();
                // Said once, not at every look.
                if (!isBlind)
                {
                    logger.LogWarning(exception, "Lanes left behind could not be looked for; it is tried again every {Pause}.", options.Lease / 3);
                }

                isBlind = true;
            }

            await RecoverAsync(stop);
            await _declared.WaitAsync(options.Lease / 3, time, stop);
        }
    }

    /// <summary>A recovery was declared: it is begun at once.</summary>
    public void Recover() => _declared.Set();

    /// <summary>Publishes what is left and gives the lane back, so that the next instance need not wait for the lease.</summary>
    /// <exception cref="EventStoreUnavailableException">That got on with nothing for the time of a lease: after as long, another instance adopts the lane.</exception>
    public async Task ReleaseAsync(CancellationToken cancellationToken)
    {
        if (_lane is { IsLost: false } lane)
        {
            await lane.ReleaseAsync(options.Lease, cancellationToken);
        }
    }

    /// <summary>Ends when the adoptions have, which their token stops.</summary>
    public Task AdoptionsEndedAsync() => Task.WhenAll(_adoptions.Values);

    /// <summary>Whether its owner has not written it for the time of a lease, as far as this instance has watched it.</summary>
    public bool IsLeftBehind(HeadAt head) => IsOthers(head)
        && _watched.TryGetValue(head.Lane, out var seen) && seen.ETag == head.ETag && time.GetElapsedTime(seen.Since) > options.Lease;

    private bool IsOthers(HeadAt head) => head.Head.Owner is not null && Own(head.Lane) is null;

    /// <summary>Notes when its owner was last seen to write, and tells whether it is left behind.</summary>
    private bool Watch(HeadAt head)
    {
        if (IsOthers(head) && !(_watched.TryGetValue(head.Lane, out var seen) && seen.ETag == head.ETag))
        {
            _watched[head.Lane] = (head.ETag, time.GetTimestamp());
        }

        return IsLeftBehind(head);
    }

    private async Task<OwnedLane?> TryAcquireAsync(CancellationToken stop)
    {
        var list = (await storage.ReadListAsync(stop)).List;
        history.Learn(list);
        if (_lane is { } lost)
        {
            await lost.CheckAsync(stop);
        }

        history.ThrowIfWentBack();
        var open = (await storage.ReadHeadsAsync(list.Names, stop)).Where(head => !head.Head.IsClosed).ToList();
        LookForNamesakes(open);
        var former = OwnAmong(open)
            ?? open.Find(head => head.Head.Owner is null)
            ?? await storage.CreateLaneAsync(stop);
        return former is null ? null : await TakeAsync(former, options.Instance, stop);
    }

    // Whoever took the lane of a running instance under that instance's own name is another one of this name.
    private void LookForNamesakes(List<HeadAt> heads)
    {
        if (!_sharesItsName && _lane is { } lost
            && heads.Exists(head => head.Lane == lost.Name && head.Head.Owner == options.Instance && head.Head.Incarnation != incarnation))
        {
            _sharesItsName = true;
            logger.LogError(
                "Another running instance bears the name {Instance} as well and has taken lane {Lane}. Both go on, each with a lane of its own, but neither is found "
                + "again at once when it restarts: give each a name of its own (EventStore:Instance).",
                options.Instance, lost.Name);
        }
    }

    // One that bore this name before need not be waited for. Where several bear it, it cannot be told which of them is gone.
    private HeadAt? OwnAmong(List<HeadAt> heads)
    {
        var named = heads.FindAll(head => head.Head.Owner == options.Instance);
        return named.Find(head => head.Head.Incarnation == incarnation) ?? (named.Count == 1 && !_sharesItsName ? named[0] : null);
    }

    private async Task LookAsync(CancellationToken stop)
    {
        var list = (await storage.ReadListAsync(stop)).List;
        var heads = await storage.ReadHeadsAsync(list.Names, stop);
        history.Learn(list);
        history.Report(await history.CompareAsync(list, heads, stop));
        if (history.Loss is null)
        {
            foreach (var head in heads.Where(Watch))
            {
                Finish(head, () => AdoptAsync(head, stop), stop);
            }

            return;
        }

        if (_lane is { IsLost: false } lane)
        {
            lane.End();
            await lane.CheckAsync(stop);
        }

        await history.WriteDownAsync(stop);
    }

    // Apart from the looking: what fails here says nothing of the owners of lanes.
    private async Task RecoverAsync(CancellationToken stop)
    {
        if (history.Loss is not { DeclaredAt: not null })
        {
            return;
        }

        try
        {
            var list = (await storage.ReadListAsync(stop)).List;
            if (list.Loss is { DeclaredAt: not null } loss)
            {
                foreach (var closed in await _recovery.RecoverAsync(list, loss, Watch, stop))
                {
                    Finish(closed, () => Task.FromResult<OwnedLane?>(Own(closed, stop)), stop);
                }
            }
        }
        catch (Exception exception) when (!stop.IsCancellationRequested)
        {
            logger.LogWarning(exception, "The declared recovery of the event log failed; it is tried again.");
        }
    }

    // Publishes what is left of a lane and gives it back.
    private void Finish(HeadAt head, Func<Task<OwnedLane?>> take, CancellationToken stop)
    {
        if (!_adoptions.TryGetValue(head.Lane, out var adoption) || adoption.IsCompleted)
        {
            _adoptions[head.Lane] = FinishAsync(head, take, stop);
        }
    }

    private async Task FinishAsync(HeadAt head, Func<Task<OwnedLane?>> take, CancellationToken stop)
    {
        try
        {
            if (await take() is { } lane)
            {
                await lane.ReleaseAsync(TimeSpan.MaxValue, stop);
            }
        }
        catch (Exception exception)
        {
            if (!stop.IsCancellationRequested)
            {
                logger.LogWarning(exception, "Lane {Lane}, left behind by {Owner}, could not be adopted; it is tried again later.", head.Lane, head.Head.Owner);
            }
        }
    }

    private async Task<OwnedLane?> AdoptAsync(HeadAt head, CancellationToken stop)
    {
        var lane = await TakeAsync(head, options.Instance + "/adopting", stop);
        if (lane is not null)
        {
            StoreMetrics.Adopted();
        }

        return lane;
    }

    private async Task<OwnedLane?> TakeAsync(HeadAt former, string owner, CancellationToken stop)
    {
        if (await storage.TakeAsync(former, owner, incarnation, stop) is not { } taken)
        {
            return null;
        }

        logger.LogInformation(
            "Lane {Lane} of the event log is taken by {Owner} (epoch {Epoch}; before: {Former}), settled up to {Settled}, published up to {Published}.",
            taken.Lane, owner, taken.Head.Epoch, former.Head.Owner, taken.Head.Settled, taken.Head.Published);
        return Own(taken, stop);
    }

    private OwnedLane Own(HeadAt taken, CancellationToken stop)
    {
        var publication = new LanePublication(taken.Lane, broker, parked, log, options, time, logger);
        var lane = new OwnedLane(taken, storage, history, log, publication, options, time, logger);
        lane.Start(stop);
        return lane;
    }
}
