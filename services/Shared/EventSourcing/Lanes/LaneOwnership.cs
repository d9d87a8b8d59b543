using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>Gives this instance a lane, a new one when it is lost, and takes care of lanes whose owners are gone.</summary>
internal sealed class LaneOwnership(
    LaneStorage storage, LogReader log, IEventPublisher publisher, EventStoreOptions options, TimeProvider time, ILogger logger)
{
    private readonly TaskCompletionSource _acquired = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private OwnedLane? _lane;

    /// <summary>Completed when this instance has had a lane.</summary>
    public Task Acquired => _acquired.Task;

    /// <summary>The lane that this instance owns; waits until it has one. For one caller at a time.</summary>
    public async Task<OwnedLane> CurrentAsync(CancellationToken stop)
    {
        var backoff = new Backoff(time);
        while (_lane is null or { IsLost: true })
        {
            try
            {
                _lane = await TryAcquireAsync(stop);
                _lane?.Start(stop);
            }
            catch (Exception exception) when (!stop.IsCancellationRequested)
            {
                logger.LogWarning(exception, "No lane of the event log could be taken; next try in {Delay}.", backoff.Delay);
                await backoff.WaitAsync(stop);
            }
        }

        _acquired.TrySetResult();
        return _lane;
    }

    /// <summary>Adopts lanes whose leases have run out, until stopped.</summary>
    public async Task AdoptAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                foreach (var head in await storage.ReadHeadsAsync(stop))
                {
                    if (head.Head.Owner is not null && head.Lane != _lane?.Name && head.Head.LeaseUntil < time.GetUtcNow())
                    {
                        await AdoptAsync(head, stop);
                    }
                }
            }
            catch (Exception exception) when (!stop.IsCancellationRequested)
            {
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

    private async Task<OwnedLane?> TryAcquireAsync(CancellationToken stop)
    {
        var now = time.GetUtcNow();
        var heads = await storage.ReadHeadsAsync(stop);
        var former = heads.FirstOrDefault(head => head.Head.Owner == options.Instance)
            ?? heads.FirstOrDefault(head => head.Head.Owner is null)
            ?? heads.FirstOrDefault(head => head.Head.LeaseUntil < now)
            ?? await storage.CreateLaneAsync(stop);
        if (former is null || await storage.TakeAsync(former, options.Instance, stop) is not { } taken)
        {
            return null;
        }

        logger.LogInformation(
            "Lane {Lane} of the event log is ours (epoch {Epoch}), settled up to {Settled}, published up to {Published}.",
            taken.Lane, taken.Head.Epoch, taken.Head.Settled, taken.Head.Published);
        return new OwnedLane(taken, storage, log, publisher, options, time, logger);
    }

    private async Task AdoptAsync(HeadAt head, CancellationToken stop)
    {
        if (await storage.TakeAsync(head, options.Instance + "/adopting", stop) is not { } taken)
        {
            return;
        }

        logger.LogInformation("Lane {Lane} was left behind by {Owner}; its open events are published now.", head.Lane, head.Head.Owner);
        var lane = new OwnedLane(taken, storage, log, publisher, options, time, logger);
        lane.Start(stop);
        await lane.ReleaseAsync(stop);
    }
}
