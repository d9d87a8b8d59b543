using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Formats;
using Google.Protobuf.WellKnownTypes;

namespace EmbeddedSidecar.Jobs;

/// <summary>Whose jobs: two applications may each have one of the same name.</summary>
internal readonly record struct JobOwner(string Namespace, string AppId)
{
    /// <summary>As the Scheduler service keys them.</summary>
    public override string ToString() => $"app||{Namespace}||{AppId}";
}

internal readonly record struct JobKey(JobOwner Owner, string Name)
{
    public override string ToString() => $"{Owner}||{Name}";
}

/// <summary>How far a job is.</summary>
/// <param name="Count">Firings that are over, also those that were given up.</param>
/// <param name="Last">The time that the last of them was due; null before the first.</param>
/// <param name="Attempts">Failed calls of the one that is due.</param>
internal readonly record struct JobProgress(int Count, DateTimeOffset? Last, int Attempts)
{
    public JobProgress AfterFiring(DateTimeOffset due) => new(Count + 1, due, 0);

    public JobProgress AfterFailure() => this with { Attempts = Attempts + 1 };
}

/// <summary>
/// A job as it is kept: as it was asked for, what its due time and time to live came to, and how far it is. Its rules are those of the Scheduler
/// service (go-etcd-cron internal/scheduler and internal/counter): missed firings are all made up for.
/// </summary>
/// <param name="Job">Its failure policy is filled in: three more attempts, a second apart, where none was asked for.</param>
/// <param name="Begin">The due time; where there is none, when it was scheduled.</param>
/// <param name="Expires">It does not fire after this.</param>
internal sealed record JobRecord(JobKey Key, Job Job, DateTimeOffset Begin, DateTimeOffset? Expires, JobProgress Progress)
{
    private static readonly TimeSpan ShortestPeriod = TimeSpan.FromSeconds(1);

    private readonly GoCron? _schedule = Job.HasSchedule ? GoCron.Parse(Job.Schedule, withSeconds: true) : null;

    /// <exception cref="FormatException">With the text of the Scheduler service.</exception>
    public static JobRecord Create(JobKey key, Job job, DateTimeOffset now)
    {
        if (!job.HasSchedule && job is { HasRepeats: true, Repeats: > 1 })
            throw new FormatException("job must have a schedule to repeat");
        if (job is { HasRepeats: true, Repeats: 0 })
            throw new FormatException("defined repeats must be greater than 0");
        if (job is { HasSchedule: false, HasTtl: true })
            throw new FormatException("job must have a schedule to have a ttl");

        job = job.Clone();
        job.FailurePolicy ??= new() { Constant = new() { Interval = Duration.FromTimeSpan(TimeSpan.FromSeconds(1)), MaxRetries = 3 } };
        if (job.HasSchedule)
            GoCron.Parse(job.Schedule, withSeconds: true);
        var begin = job.HasDueTime ? Read(job.DueTime, now, "due time format not recognized") : now;
        DateTimeOffset? expires = job.HasTtl ? Read(job.Ttl, begin, "ttl format not recognized") : null;
        return job.HasDueTime && begin > expires
            ? throw new FormatException("ttl must be greater than due time")
            : new(key, job, begin, expires, default);
    }

    /// <summary>When the next firing is due, which may be in the past; null when there is none.</summary>
    public DateTimeOffset? Next()
    {
        var (count, last, _) = Progress;
        if (Job.HasRepeats && count >= Job.Repeats)
            return null;
        var next = _schedule is null ? (count == 0 ? Begin : (DateTimeOffset?)null)
            : last is null && Job.HasDueTime ? Begin
            : After(last ?? Begin);
        return next > Expires ? null : next;
    }

    /// <summary>Whether the firing that has failed for the time in <see cref="JobProgress.Attempts"/> is tried once more, and how much later.</summary>
    public TimeSpan? RetryAfter() => Job.FailurePolicy.PolicyCase == JobFailurePolicy.PolicyOneofCase.Constant
        && Job.FailurePolicy.Constant is var constant && (!constant.HasMaxRetries || constant.MaxRetries >= Progress.Attempts)
        ? constant.Interval?.ToTimeSpan() ?? TimeSpan.Zero
        : null;

    /// <summary>The Scheduler service takes an <c>@every</c> of nothing, or less, and then calls thousands of times a second.</summary>
    private DateTimeOffset? After(DateTimeOffset time) => _schedule!.Every <= TimeSpan.Zero ? time + ShortestPeriod : _schedule.Next(time);

    private static DateTimeOffset Read(string text, DateTimeOffset from, string problem)
    {
        try
        {
            return ActorTimes.Parse(text, from);
        }
        catch (FormatException e)
        {
            throw new FormatException(problem, e);
        }
    }
}
