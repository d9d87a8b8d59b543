using Dapr.Actors;
using Dapr.Actors.Client;
using DaprOrders.EventSourcing;
using Microsoft.Extensions.Options;

namespace DaprOrders.Ordering.Deadlines;

/// <summary>
/// Sees to it that every lane of the event log is watched, once for each lane that this process gets to know. The reminder is durable: a lane is
/// visited by whichever replica runs, also when the one that wrote to it is gone for good.
/// </summary>
public sealed class WatchingDeadlines(
    EventStore store, IActorProxyFactory actors, IOptions<OrderingOptions> options, TimeProvider time, ILogger<WatchingDeadlines> logger)
    : BackgroundService
{
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(5);

    private readonly HashSet<string> _watched = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await store.Ready.WaitAsync(stoppingToken);
        for (var failures = 0; ;)
        {
            try
            {
                await WatchAsync(stoppingToken);
                failures = 0;
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                // Placement needs a moment after a start.
                if (++failures == 3)
                    logger.LogError(exception, "The payment deadlines cannot be watched now: no order is cancelled for being unpaid; it is tried again");
            }

            await Task.Delay(failures == 0 ? options.Value.VisitEvery : TimeSpan.FromSeconds(Math.Min(failures, 10)), time, stoppingToken);
        }
    }

    private async Task WatchAsync(CancellationToken stoppingToken)
    {
        var lanes = await store.ReadLanesAsync(stoppingToken);
        foreach (var lane in lanes.Lanes.Where(lane => !_watched.Contains(lane.Name)))
        {
            await actors.CreateActorProxy<IDeadlineActor>(new ActorId(lane.Name), nameof(DeadlineActor)).WatchAsync().WaitAsync(CallTimeout, time, stoppingToken);
            _watched.Add(lane.Name);
        }
    }
}
