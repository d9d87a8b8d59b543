using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults;
using DaprOrders.ServiceDefaults.CatchUp;
using Microsoft.Extensions.Options;

namespace DaprOrders.Payments.SettlingPayments;

/// <summary>
/// Finds the payments that owe a call in this service's own event log, lane by lane: what a crash, an outage of the provider, or another
/// replica's end has left. So however many wait, nothing grows but the log, where they are anyway.
/// </summary>
public sealed class FindingOpenPayments(
    EventStore store,
    OpenPayments open,
    Documents documents,
    DaprSettings dapr,
    IOptions<PaymentsOptions> options,
    TimeProvider time,
    ILogger<FindingOpenPayments> logger) : BackgroundService
{
    private const int LooksPerListOfLanes = 12;
    private const int EntriesInPage = 500;

    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(50);

    private readonly Dictionary<string, OpenInLane> _lanes = [];

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await store.Ready.WaitAsync(stoppingToken);
        try
        {
            for (var (look, failures) = (0, 0); ; look++)
            {
                try
                {
                    await LookAsync(withNewLanes: look % LooksPerListOfLanes == 0 || failures > 0, stoppingToken);
                    failures = 0;
                }
                catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
                {
                    if (++failures == 1)
                    {
                        logger.LogWarning(exception, "The event log could not be looked through for open payments; tried again in {LookEvery}", options.Value.LookEvery);
                    }
                }

                await WaitAsync(stoppingToken);
            }
        }
        finally
        {
            await ReleaseAsync();
        }
    }

    private async Task LookAsync(bool withNewLanes, CancellationToken stoppingToken)
    {
        if (withNewLanes)
        {
            await ReadLanesAsync(stoppingToken);
        }

        foreach (var lane in _lanes.Values)
        {
            await lane.LookAsync(stoppingToken);
        }

        open.IsBehind = _lanes.Values.Any(lane => lane.IsBehind);
    }

    private async Task ReleaseAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(2));
        try
        {
            await Task.WhenAll(_lanes.Values.Select(lane => lane.ReleaseAsync(limit.Token)));
        }
        catch (Exception exception)
        {
            logger.LogDebug(exception, "The lanes could not be given back; another replica takes them when their time is up");
        }
    }

    private async Task ReadLanesAsync(CancellationToken cancellationToken)
    {
        foreach (var lane in (await store.ReadLanesAsync(cancellationToken)).Lanes.Where(lane => !_lanes.ContainsKey(lane.Name)))
        {
            _lanes.Add(lane.Name, new OpenInLane(
                lane.Name,
                new LaneCursor(documents, $"settling|{lane.Name}", dapr.Instance, options.Value.LookEvery, time),
                new PagedLists(documents, EntriesInPage),
                store,
                open));
        }
    }

    // Behind, the next ones are read as soon as there is room for them.
    private async Task WaitAsync(CancellationToken stoppingToken)
    {
        var since = time.GetTimestamp();
        do
        {
            await Task.Delay(open.IsBehind && Moment < options.Value.LookEvery ? Moment : options.Value.LookEvery, time, stoppingToken);
        }
        while (time.GetElapsedTime(since) < options.Value.LookEvery && !_lanes.Values.Any(lane => lane.IsBehind && lane.HasRoom));
    }
}
