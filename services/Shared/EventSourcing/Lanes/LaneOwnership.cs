using DaprOrders.EventSourcing.Publishing;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>
/// Gives this instance a lane, a new one when it is lost, and takes care of lanes whose owners are gone: those whose heads have not been
/// written for the time of a lease, by this instance's own watch, since the clocks of machines differ.
/// </summary>
internal sealed class LaneOwnership(
    LaneStorage storage, LogReader log, Broker broker, ParkedEvents parked, EventStoreOptions options, TimeProvider time, ILogger logger)
{
    private readonly TaskCompletionSource _acquired = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Dictionary<string, (string ETag, long Since)> _watched = [];
    private readonly Dictionary<string, Task> _adoptions = [];
    private OwnedLane? _lane;

    /// <summary>Completed when this instance has had a lane.</summary>
    public Task Acquired => _acquired.Task;

    /// <summary>The lane that this instance owns; waits until it has one. For one caller at a time.</summary>
    public async Task<OwnedLane> CurrentAsync(CancellationToken stop)
    {
        var backoff = new Backoff(time);
        while (_lane is null or { IsLost: true })
        {
            Exception? failure = null;
            try
            {
                _lane = await TryAcquireAsync(stop);
            }
            catch (Exception exception) when (!stop.IsCancellationRequested)
            {
                failure = exception;
            }

            if (_lane is null or { IsLost: true })
            {
                logger.LogWarning(failure, "No lane of the event log could be taken; next try in {Delay}.", backoff.Delay);
                await backoff.WaitAsync(stop);
            }
        }

        _acquired.TrySetResult();
        return _lane;
    }

    /// <summary>Adopts lanes that were left behind, until stopped.</summary>
    public async Task AdoptAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                foreach (var head in await storage.ReadHeadsAsync(stop))
                {
                    if (IsLeftBehind(head) && (!_adoptions.TryGetValue(head.Lane, out var adoption) || adoption.IsCompleted))
                    {
                        _adoptions[head.Lane] = AdoptAsync(head, stop);
                    }
                }
            }
            catch (Exception exception) when (!stop.IsCancellationRequested)
            {
                // While this instance cannot look, the owners may not be able to write either.
                _watched.Clear();
                logger.LogDebug(exception, "Lanes left behind could not be looked for.");
            }

            await Task.Delay(options.Lease / 3, time, stop);
        }
    }

    /// <summary>Publishes what is left and gives the lane back, so that the next instance need not wait for the lease.</summary>
    public async Task ReleaseAsync(CancellationToken cancellationToken)
    {
        if (_lane is { IsLost: false } lane)
        {
            await lane.ReleaseAsync(cancellationToken);
        }
    }

    /// <summary>Ends when the adoptions have, which their token stops.</summary>
    public Task AdoptionsEndedAsync() => Task.WhenAll(_adoptions.Values);

    private bool IsLeftBehind(HeadAt head)
    {
        if (head.Head.Owner is null || (_lane is { IsLost: false } own && own.Name == head.Lane))
        {
            return false;
        }

        if (_watched.TryGetValue(head.Lane, out var seen) && seen.ETag == head.ETag)
        {
            return time.GetElapsedTime(seen.Since) > options.Lease;
        }

        _watched[head.Lane] = (head.ETag, time.GetTimestamp());
        return false;
    }

    private async Task<OwnedLane?> TryAcquireAsync(CancellationToken stop)
    {
        var heads = await storage.ReadHeadsAsync(stop);
        var former = heads.FirstOrDefault(head => head.Head.Owner == options.Instance)
            ?? heads.FirstOrDefault(head => head.Head.Owner is null)
            ?? await storage.CreateLaneAsync(stop);
        return former is null ? null : await TakeAsync(former, options.Instance, stop);
    }

    private async Task AdoptAsync(HeadAt head, CancellationToken stop)
    {
        try
        {
            if (await TakeAsync(head, options.Instance + "/adopting", stop) is { } lane)
            {
                await lane.ReleaseAsync(stop);
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

    private async Task<OwnedLane?> TakeAsync(HeadAt former, string owner, CancellationToken stop)
    {
        if (await storage.TakeAsync(former, owner, stop) is not { } taken)
        {
            return null;
        }

        logger.LogInformation(
            "Lane {Lane} of the event log is taken by {Owner} (epoch {Epoch}; before: {Former}), settled up to {Settled}, published up to {Published}.",
            taken.Lane, owner, taken.Head.Epoch, former.Head.Owner, taken.Head.Settled, taken.Head.Published);
        var publication = new LanePublication(taken.Lane, broker, parked, log, options, time, logger);
        var lane = new OwnedLane(taken, storage, log, publication, options, time, logger);
        lane.Start(stop);
        return lane;
    }
}
