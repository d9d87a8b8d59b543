using DaprOrders.EventSourcing;
using DaprOrders.Reporting.Updates;
using Microsoft.Extensions.Options;

namespace DaprOrders.Reporting.Following;

/// <summary>Section <c>Reporting</c>.</summary>
internal sealed class ReportingOptions
{
    /// <summary>The logs are looked at when a topic brought something, and at least this often: what a topic lost is found by then.</summary>
    public TimeSpan CheckEvery { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>After a topic brought something: what follows within this time is read with it. Aggregates are that much late, and up to eight times as much on a busy machine.</summary>
    public TimeSpan GatherFor { get; set; } = TimeSpan.FromMilliseconds(250);

    /// <summary>A version that no longer serves is removed after this time: other instances may still be reading it.</summary>
    public TimeSpan KeepRetiredFor { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>While a client follows live updates, this often is looked for what another replica has read into the read models.</summary>
    public TimeSpan UpdatesEvery { get; set; } = TimeSpan.FromMilliseconds(500);

    /// <summary>A client of live updates hears something at least this often.</summary>
    public TimeSpan HeartbeatEvery { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Updates that may wait for one client; then it is too slow.</summary>
    public int UpdatesQueue { get; set; } = 1000;

    /// <summary>Updates that are kept for clients that come back; who was away for more of them, or for more commits, reads the list again.</summary>
    public int RecentUpdates { get; set; } = 10_000;

    /// <summary>How long who asks for an order's updates waits for an order that is not known yet.</summary>
    public TimeSpan AwaitOrder { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Reading shall take no more than a tenth of the time: where the machine is slow an order's events come slowly, too, and are still one reading or two.</summary>
    public TimeSpan GatherAfter(TimeSpan reading) => TimeSpan.FromTicks(Math.Clamp(10 * reading.Ticks, GatherFor.Ticks, 8 * GatherFor.Ticks));
}

/// <summary>Reads the event logs into the version that serves and into the one that is being built; switches when the latter has caught up.</summary>
internal sealed class FollowingLogs(
    Projections projections,
    ProjectionVersions versions,
    Wakeup wakeUp,
    UpdateFeed updates,
    ReportingMetrics metrics,
    IOptions<ReportingOptions> options,
    TimeProvider time,
    ILogger<FollowingLogs> logger) : BackgroundService
{
    /// <summary>Why the logs could not be followed the last time; null when they could.</summary>
    public FollowingFailure? Failure { get; private set; }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var before = TimeSpan.Zero;
        while (!stoppingToken.IsCancellationRequested)
        {
            var isThrough = true;
            var started = time.GetTimestamp();
            try
            {
                isThrough = await AdvanceAsync(stoppingToken);
                updates.Wake();
                if (Failure is not null)
                    logger.LogInformation("The event logs can be followed again");
                Failure = null;
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                // Said once, not at every check; GET /projections shows it as long as it lasts.
                if (Failure?.Reason != exception.Message)
                    logger.LogError(exception, "The event logs cannot be followed now; it is tried again every {CheckEvery}", options.Value.CheckEvery);
                var now = time.GetUtcNow();
                Failure = new(exception.Message, now, Failure?.Since ?? now, 1 + (Failure?.Attempts ?? 0));
            }

            metrics.Followed(isFailing: Failure is not null);
            if (isThrough)
            {
                // The shorter one of the last two counts: the first of all runs code that was not compiled yet.
                var reading = time.GetElapsedTime(started);
                var gatherFor = options.Value.GatherAfter(reading < before ? reading : before);
                before = reading;
                await wakeUp.WaitAsync(options.Value.CheckEvery, time, stoppingToken);
                await Task.Delay(gatherFor, time, stoppingToken);
            }
        }
    }

    private async Task<bool> AdvanceAsync(CancellationToken cancellationToken)
    {
        var state = await versions.ReadAsync(cancellationToken);
        var isThrough = await projections.Follower(state.Serving, isServing: true).AdvanceAsync(cancellationToken);
        if (state.Building is not { } building)
        {
            if (isThrough && state.Retired.Count > 0 && time.GetUtcNow() - state.ServingSince > options.Value.KeepRetiredFor)
                await RemoveAsync(state.Retired[0], cancellationToken);
            return isThrough;
        }

        if (await projections.Follower(building, isServing: false).AdvanceAsync(cancellationToken))
        {
            await versions.SwitchAsync(building, cancellationToken);
            logger.LogInformation("Version {Version} of the projections has caught up with the event logs and serves from now on", building);
        }

        return false;
    }

    private async Task RemoveAsync(long retired, CancellationToken cancellationToken)
    {
        await projections.RemoveAsync(retired, cancellationToken);
        await versions.RemovedAsync(retired, cancellationToken);
        logger.LogInformation("Version {Version} of the projections is removed", retired);
    }
}
