using Dapr;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>A redrive of all letters that there were when it was asked for, or of some.</summary>
/// <param name="Page">The page of letters that is at work, or comes next.</param>
/// <param name="Owner">The instance that does it; empty once it left it to others.</param>
/// <param name="Beat">Counted up by the owner: who has watched it stand still for the time of a lease may go on. No two clocks are compared.</param>
/// <param name="By">Who asked for it; null where nobody had to say.</param>
/// <param name="Ids">Of the letters; null: all.</param>
/// <param name="Error">Why the last one that failed did.</param>
/// <param name="Last">The last page of letters when it was begun; null until it is read.</param>
/// <param name="OnLast">Those that were on the last page then: what came later is not a part of it. Null: all.</param>
/// <param name="Tried">On the page that is at work.</param>
internal sealed record RedriveJob(
    string Id,
    DateTimeOffset StartedAt,
    DateTimeOffset? FinishedAt,
    int Handled,
    int Failed,
    long Page,
    string Owner,
    string? By = null,
    IReadOnlyList<string>? Ids = null,
    string? Error = null,
    int Beat = 0,
    long? Last = null,
    IReadOnlyList<string>? OnLast = null,
    IReadOnlyList<string>? Tried = null)
{
    public bool IsRunning => FinishedAt is null;

    public bool IsFor(IReadOnlyList<string>? ids) => Ids is null ? ids is null : ids is not null && Ids.ToHashSet().SetEquals(ids);
}

/// <summary>
/// The one job that a service has at a time. What it has done is kept every few seconds: after a restart it goes on where it was, in
/// whichever instance takes it first. A letter that fails again stays, and the job goes on with the next; while the store is away it waits.
/// </summary>
internal sealed class RedriveJobs(
    Documents documents, DeadLetterStore letters, Redriving redriving, OperatorActs acts, TimeProvider time, ILogger<RedriveJobs> logger) : BackgroundService
{
    private const string Key = "dead-letters|redrive";

    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan SaveEvery = TimeSpan.FromSeconds(2);

    /// <summary>For jobs that other instances left behind.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan PauseWithoutStore = TimeSpan.FromSeconds(5);

    private readonly string _instance = Guid.CreateVersion7(time.GetUtcNow()).ToString("N");
    private readonly Wakeup _asked = new();
    private (string Id, string Owner, int Beat) _watched;
    private long _watchedSince;

    /// <summary>Begins a job unless one is running.</summary>
    /// <param name="ids">Of the letters; null: all.</param>
    /// <returns>The job that runs then; null: it is for other letters.</returns>
    public async Task<RedriveJob?> BeginAsync(IReadOnlyList<string>? ids, string? by, CancellationToken cancellationToken)
    {
        var wanted = new RedriveJob(acts.NewId(), time.GetUtcNow(), null, 0, 0, 0, _instance, by, ids);
        var job = await documents.ChangeAsync<RedriveJob>(Key, current => current is { IsRunning: true } ? current : wanted, cancellationToken);
        _asked.Set();
        return job!.IsFor(ids) ? job : null;
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
        if (await FindAsync(cancellationToken) is not { IsRunning: true } found || (found.Owner != _instance && !IsLeftBehind(found)))
            return null;

        var job = await documents.ChangeAsync<RedriveJob>(
            Key,
            current => current is { IsRunning: true } && Sign(current) == Sign(found) ? current with { Owner = _instance, Beat = current.Beat + 1 } : current,
            cancellationToken);
        return job is { IsRunning: true } && job.Owner == _instance ? job : null;
    }

    /// <summary>Whether its owner left it, or has not moved it for the time of a lease, as far as this instance has watched it.</summary>
    private bool IsLeftBehind(RedriveJob job)
    {
        if (job.Owner.Length == 0)
            return true;
        if (_watched != Sign(job))
            (_watched, _watchedSince) = (Sign(job), time.GetTimestamp());
        return time.GetElapsedTime(_watchedSince) > Lease;
    }

    private static (string Id, string Owner, int Beat) Sign(RedriveJob job) => (job.Id, job.Owner, job.Beat);

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
        await UntilAnsweredAsync(() => acts.BeginAsync(job, cancellationToken), cancellationToken);
        var (first, last) = await UntilAnsweredAsync(() => BoundsAsync(job, cancellationToken), cancellationToken);
        if (job.Last is null)
        {
            var present = job.Ids is null ? await UntilAnsweredAsync(() => letters.ReadPageAsync(last, cancellationToken), cancellationToken) : null;
            progress.Job = job = job with { Last = last, OnLast = present?.Select(letter => letter.Id).ToList() };
            if (!await SaveAsync(job, _instance, cancellationToken))
                return;
        }

        for (var page = Math.Max(job.Page, first); page <= job.Last; page++)
        {
            List<string> tried = [.. page == job.Page ? job.Tried ?? [] : []];
            foreach (var letter in await UntilAnsweredAsync(() => PageAsync(job, page, cancellationToken), cancellationToken))
            {
                // Those that came later had better luck or worse.
                if (tried.Contains(letter.Id) || (page == job.Last && job.OnLast?.Contains(letter.Id) == false))
                    continue;

                var failure = await UntilAnsweredAsync(() => redriving.TryAsync(letter.Id, job.Id, cancellationToken), cancellationToken);
                tried.Add(letter.Id);
                progress.Job = failure is null
                    ? progress.Job with { Page = page, Tried = tried, Handled = progress.Job.Handled + 1 }
                    : progress.Job with { Page = page, Tried = tried, Failed = progress.Job.Failed + 1, Error = failure };
                logger.LogInformation(
                    "Dead letter {DeadLetterId}, event {EventId}, was redriven by job {RedriveId}: {Outcome}", letter.Id, letter.EventId, job.Id, failure is null ? "handled" : "failed again");
                if (time.GetElapsedTime(savedAt) < SaveEvery)
                    continue;
                if (!await SaveAsync(progress.Job, _instance, cancellationToken))
                    return;
                savedAt = time.GetTimestamp();
            }
        }

        var done = progress.Job;
        await UntilAnsweredAsync(() => acts.EndAsync(done.Id, done.Handled, done.Failed, done.Error, effect: null, cancellationToken), cancellationToken);
        if (await SaveAsync(done with { FinishedAt = time.GetUtcNow() }, _instance, cancellationToken))
        {
            logger.LogInformation(
                "Dead letters were redriven: job {RedriveId}, {Handled} handled, {Failed} failed again", job.Id, done.Handled, done.Failed);
        }
    }

    private async Task<(long First, long Last)> BoundsAsync(RedriveJob job, CancellationToken cancellationToken) =>
        job.Ids is null ? await letters.ReadBoundsAsync(cancellationToken) : (0, (job.Ids.Count - 1) / PagedDocuments<DeadLetter>.IdsInPage);

    private Task<IReadOnlyList<DeadLetter>> PageAsync(RedriveJob job, long page, CancellationToken cancellationToken) => job.Ids is null
        ? letters.ReadPageAsync(page, cancellationToken)
        : letters.FindAsync([.. job.Ids.Chunk(PagedDocuments<DeadLetter>.IdsInPage).ElementAt((int)page)], cancellationToken);

    /// <param name="owner">This instance, or nobody from now on.</param>
    /// <returns>False when another instance has the job meanwhile.</returns>
    private async Task<bool> SaveAsync(RedriveJob progress, string owner, CancellationToken cancellationToken)
    {
        var saved = await UntilAnsweredAsync(
            () => documents.ChangeAsync<RedriveJob>(
                Key,
                current => current?.Id == progress.Id && current.Owner == _instance && current.IsRunning
                    ? progress with { Owner = owner, Beat = current.Beat + 1 }
                    : current,
                cancellationToken),
            cancellationToken);
        return saved?.Id == progress.Id && saved.Owner == owner;
    }

    /// <summary>This instance stops: another may go on at once.</summary>
    private async Task LeaveAsync(RedriveJob progress)
    {
        using var limit = new CancellationTokenSource(SaveEvery, time);
        try
        {
            await SaveAsync(progress, owner: "", limit.Token);
        }
        catch (Exception exception)
        {
            logger.LogDebug(exception, "The redrive of dead letters goes on when another instance has watched it for its lease");
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
