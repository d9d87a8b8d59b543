using System.Runtime.ExceptionServices;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
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
    EventStoreOptions instance,
    IOptions<PaymentsOptions> options,
    TimeProvider time,
    ILogger<FindingOpenPayments> logger) : BackgroundService
{
    private const int EntriesInPage = 500;

    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(50);

    private readonly Dictionary<string, OpenInLane> _lanes = [];
    private long _recoveries;

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await store.Ready.WaitAsync(stoppingToken);
        try
        {
            for (var failures = 0; ;)
            {
                try
                {
                    await LookAsync(stoppingToken);
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

    // A lane that fails keeps none of the others waiting.
    private async Task LookAsync(CancellationToken stoppingToken)
    {
        if (store.Recoveries != _recoveries)
        {
            open.ForgetSettled();
            _recoveries = store.Recoveries;
        }

        ExceptionDispatchInfo? failure = null;
        foreach (var (name, settled, _) in (await store.ReadLanesAsync(stoppingToken)).Lanes)
        {
            if (!_lanes.TryGetValue(name, out var lane))
            {
                _lanes.Add(name, lane = new OpenInLane(
                    name,
                    new LaneCursor(documents, $"settling|{name}", instance.Instance, options.Value.LookEvery, time, () => store.Recoveries),
                    new PagedLists(documents, EntriesInPage),
                    store,
                    open,
                    logger));
            }

            try
            {
                await lane.LookAsync(settled, stoppingToken);
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        }

        open.IsBehind = _lanes.Values.Any(lane => lane.IsBehind);
        failure?.Throw();
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
