using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Actors;

/// <summary>When a timer or reminder fires next, and how often still.</summary>
/// <param name="Next">The next firing.</param>
/// <param name="Period">Between firings; none: it fires once.</param>
/// <param name="Left">Firings left, -1: without end.</param>
/// <param name="Expires">No firing after this; null: never.</param>
internal sealed record ActorSchedule(DateTimeOffset Next, ActorPeriod Period, int Left, DateTimeOffset? Expires)
{
    /// <summary>The schedule after a firing; null when that was the last.</summary>
    public ActorSchedule? AfterFiring()
    {
        var left = Left > 0 ? Left - 1 : Left;
        if (left == 0 || Period.IsNone)
            return null;
        if (Period.After(Next) is not { } next)
            return null;
        return next > Expires ? null : this with { Next = next, Left = left };
    }

    /// <summary>A timer: a missing due time, or one that has passed, fires at once (dapr pkg/actors/api/reminders.go).</summary>
    /// <exception cref="FormatException">With dapr's text.</exception>
    public static ActorSchedule OfTimer(ActorKey actor, string name, string? dueTime, string? period, string? ttl, DateTimeOffset now)
    {
        var next = Read(dueTime, now, "error parsing timer due time") ?? now;
        var every = ActorPeriod.None;
        if (period is { Length: > 0 })
        {
            if (!ActorPeriod.TryParse(period, out every))
                throw new FormatException($"invalid timer period: parse error: unsupported duration format \"{period}\"");
            if (every.Times == 0)
                throw new FormatException("invalid timer period: has zero repetitions");
        }
        var expires = Read(ttl, next, "error parsing timer TTL");
        if (expires < now || expires < next)
            throw new FormatException($"timer {actor}||{name} has already expired: dueTime: {ActorTimes.Format(next)} TTL: {ttl}");
        return new(next, every, every.Times, expires);
    }

    /// <summary>A reminder, as the Scheduler service takes it: no calendar periods; without a due time it first fires after one period.</summary>
    /// <exception cref="FormatException">With dapr's text.</exception>
    public static ActorSchedule OfReminder(string? dueTime, string? period, string? ttl, DateTimeOffset now)
    {
        var every = ActorPeriod.None;
        if (period is { Length: > 0 } && (!ActorPeriod.TryParse(period, out every) || every.HasCalendarPart || every.Times == 0))
            throw new FormatException($"unsupported period format: {period}");
        if (string.IsNullOrEmpty(dueTime) && string.IsNullOrEmpty(period))
            throw Invalid("job must have either a due time or a schedule");
        if (period is { Length: > 0 } && every.Exact <= TimeSpan.Zero)
            throw Invalid($"schedule period must be positive: {period}");

        var next = ReadReminderTime(dueTime, now, "due time format not recognized")
            ?? every.After(now) ?? throw Invalid($"schedule is beyond the calendar: {period}");
        var expires = ReadReminderTime(ttl, next, "ttl format not recognized");
        if (expires < now || expires < next)
            throw Invalid($"ttl has already passed: {ttl}");
        return new(next, every, every.Times, expires);
    }

    private static DateTimeOffset? Read(string? text, DateTimeOffset from, string what)
    {
        try
        {
            return string.IsNullOrEmpty(text) ? null : ActorTimes.Parse(text, from);
        }
        catch (FormatException e)
        {
            throw new FormatException($"{what}: {e.Message}", e);
        }
    }

    private static DateTimeOffset? ReadReminderTime(string? text, DateTimeOffset from, string problem)
    {
        try
        {
            return string.IsNullOrEmpty(text) ? null : ActorTimes.Parse(text, from);
        }
        catch (FormatException)
        {
            throw Invalid(problem);
        }
    }

    private static FormatException Invalid(string reason) => new($"rpc error: code = Unknown desc = job failed validation: {reason}");

    /// <summary>How a reminder's period reads when it is asked for.</summary>
    public static string Describe(ActorPeriod period) => period.IsNone ? "" : $"@every {GoDuration.Format(period.Exact)}";
}
