using Cronos;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Components.Bindings.Cron;

/// <summary>bindings.cron: <c>@every 5s</c>, <c>@daily</c> and the like, or a cron expression of five fields, or six with seconds first. In UTC.</summary>
internal sealed class CronSchedule : IAsyncDisposable
{
    public const string Route = "route";
    public const string Direction = "direction";

    private const string Schedule = "schedule";
    private const string Every = "@every ";

    private readonly TimeSpan? _every;
    private readonly CronExpression? _cron;

    private CronSchedule(TimeSpan? every, CronExpression? cron)
    {
        _every = every;
        _cron = cron;
    }

    public static ComponentType ComponentType { get; } = new(
        "bindings.cron",
        "v1",
        [Schedule, Route, Direction],
        (metadata, _, _) => Task.FromResult<IAsyncDisposable>(
            TryParse(metadata.Required(Schedule))
            ?? throw metadata.Invalid(Schedule, "@every and a duration, @daily, or a cron expression such as \"*/5 * * * * *\"")));

    /// <summary>Null when the text is no schedule.</summary>
    public static CronSchedule? TryParse(string text)
    {
        if (text.StartsWith(Every, StringComparison.Ordinal))
            return GoDuration.TryParse(text.AsSpan(Every.Length).Trim(), out var every) && every > TimeSpan.Zero ? new(every, null) : null;
        var format = text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length == 6 ? CronFormat.IncludeSeconds : CronFormat.Standard;
        return CronExpression.TryParse(text, format, out var cron) ? new(null, cron) : null;
    }

    /// <summary>Null when it never comes.</summary>
    public DateTimeOffset? Next(DateTimeOffset after) => _every is { } every ? after + every : _cron!.GetNextOccurrence(after, TimeZoneInfo.Utc);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
