using Dapr;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>A redrive of all letters that there were when it was asked for.</summary>
/// <param name="Page">The page of letters that is at work, or comes next.</param>
/// <param name="Owner">The instance that does it, until <paramref name="LeaseUntil"/>; then any other may go on.</param>
internal sealed record RedriveJob(
    string Id,
    DateTimeOffset StartedAt,
    DateTimeOffset? FinishedAt,
    int Handled,
    int Failed,
    long Page,
    string Owner,
    DateTimeOffset LeaseUntil)
{
    public bool IsRunning => FinishedAt is null;
}

/// <summary>
/// The one job that a service has at a time. What it has done is kept every few seconds: after a restart it goes on where it was, in
/// whichever instance takes it first. A letter that fails again stays, and the job goes on with the next; while the store is away it waits.
/// </summary>
internal sealed class RedriveJobs(
    Documents documents, DeadLetterStore letters, Redriving redriving, TimeProvider time, ILogger<RedriveJobs> logger) : BackgroundService
{
    private const string Key = "dead-letters|redrive";

    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan SaveEvery = TimeSpan.FromSeconds(2);

    /// <summary>For jobs that other instances left behind.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan PauseWithoutStore = TimeSpan.FromSeconds(5);

    private readonly string _instance = Guid.CreateVersion7(time.GetUtcNow()).ToString("N");
    private readonly Wakeup _asked = new();

    /// <summary>Begins a job unless one is running; the one that runs then.</summary>
    public async Task<RedriveJob> BeginAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var wanted = new RedriveJob(Guid.CreateVersion7(now).ToString("N"), now, null, 0, 0, 0, _instance, now + Lease);
        var job = await documents.ChangeAsync<RedriveJob>(Key, current => current is { IsRunning: true } ? current : wanted, cancellationToken);
        _asked.Set();
        return job!;
    }

    /// <summary>The job that runs, or ran last; null when there was none.</summary>
    public Task<RedriveJob?> FindAsync(CancellationToken cancellationToken) => documents.ReadAsync<RedriveJob>(Key, cancellationToken);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            var pause = LookEvery;
            try
            {
                if (await TakeAsync(stoppingToken) is { } job)
                    await WorkAsync(job, stoppingToken);
            }
            catch (DaprException exception)
            {
                logger.LogDebug(exception, "The store does not say whether dead letters are to be redriven");
                pause = PauseWithoutStore;
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                logger.LogError(exception, "The redrive of dead letters was broken off; it is taken up again");
            }

            await _asked.WaitAsync(pause, time, stoppingToken);
        }
    }

    /// <summary>The running job, once it is ours; null when there is none, or another instance has it.</summary>
    private async Task<RedriveJob?> TakeAsync(CancellationToken cancellationToken)
    {
        if (await FindAsync(cancellationToken) is not { IsRunning: true })
            return null;

        var job = await documents.ChangeAsync<RedriveJob>(
            Key,
            current => current is { IsRunning: true } && (current.Owner == _instance || current.LeaseUntil <= time.GetUtcNow())
                ? current with { Owner = _instance, LeaseUntil = time.GetUtcNow() + Lease }
                : current,
            cancellationToken);
        return job is { IsRunning: true } && job.Owner == _instance ? job : null;
    }

    private async Task WorkAsync(RedriveJob job, CancellationToken cancellationToken)
    {
        logger.LogInformation("Dead letters are redriven: job {RedriveId}, from page {Page}", job.Id, job.Page);
        var progress = new Progress { Job = job };
        try
        {
            await WorkAsync(progress, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await LeaveAsync(progress.Job);
            throw;
        }
    }

    private async Task WorkAsync(Progress progress, CancellationToken cancellationToken)
    {
        var job = progress.Job;
        var savedAt = time.GetTimestamp();
        var (first, last) = await UntilAnsweredAsync(() => letters.ReadBoundsAsync(cancellationToken), cancellationToken);
        for (var page = Math.Max(job.Page, first); page <= last; page++)
        {
            foreach (var letter in await UntilAnsweredAsync(() => letters.ReadPageAsync(page, cancellationToken), cancellationToken))
            {
                // Those that came later had better luck or worse, and those that were tried since then had their turn.
                if (letter.ReceivedAt > job.StartedAt || letter.LastAttemptAt > job.StartedAt)
                    continue;

                var failed = await UntilAnsweredAsync(() => redriving.TryAsync(letter, cancellationToken), cancellationToken);
                progress.Job = failed is null
                    ? progress.Job with { Page = page, Handled = progress.Job.Handled + 1 }
                    : progress.Job with { Page = page, Failed = progress.Job.Failed + 1 };
                if (time.GetElapsedTime(savedAt) < SaveEvery)
                    continue;
                if (!await SaveAsync(progress.Job, Lease, cancellationToken))
                    return;
                savedAt = time.GetTimestamp();
            }
        }

        if (await SaveAsync(progress.Job with { FinishedAt = time.GetUtcNow() }, Lease, cancellationToken))
        {
            logger.LogInformation(
                "Dead letters were redriven: job {RedriveId}, {Handled} handled, {Failed} failed again", job.Id, progress.Job.Handled, progress.Job.Failed);
        }
    }

    /// <summary>False when another instance has the job meanwhile.</summary>
    private async Task<bool> SaveAsync(RedriveJob progress, TimeSpan lease, CancellationToken cancellationToken)
    {
        var saved = await UntilAnsweredAsync(
            () => documents.ChangeAsync<RedriveJob>(
                Key,
                current => current?.Id == progress.Id && current.Owner == _instance && current.IsRunning
                    ? progress with { LeaseUntil = time.GetUtcNow() + lease }
                    : current,
                cancellationToken),
            cancellationToken);
        return saved?.Id == progress.Id && saved.Owner == _instance;
    }

    /// <summary>This instance stops: another may go on at once.</summary>
    private async Task LeaveAsync(RedriveJob progress)
    {
        using var limit = new CancellationTokenSource(SaveEvery, time);
        try
        {
            await SaveAsync(progress, TimeSpan.Zero, limit.Token);
        }
        catch (Exception exception)
        {
            logger.LogDebug(exception, "The redrive of dead letters goes on when its lease is over");
        }
    }

    private async Task<T> UntilAnsweredAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await call();
            }
            catch (DaprException exception)
            {
                logger.LogWarning(exception, "The redrive of dead letters waits for the store");
                await _asked.WaitAsync(PauseWithoutStore, time, cancellationToken);
            }
        }
    }

    /// <summary>How far this instance is; the job is kept every few seconds only.</summary>
    private sealed class Progress
    {
        public required RedriveJob Job { get; set; }
    }
}
