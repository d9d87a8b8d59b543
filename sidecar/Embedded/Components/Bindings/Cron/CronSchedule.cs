using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Components.Bindings.Cron;

/// <summary>bindings.cron: <c>@every 5s</c>, <c>@daily</c> and the like, or a cron expression of five fields, or six with seconds first.</summary>
internal sealed class CronSchedule : IAsyncDisposable
{
    private const string Schedule = "schedule";

    private readonly GoCron _cron;

    private CronSchedule(GoCron cron) => _cron = cron;

    public static ComponentType ComponentType { get; } = new(
        "bindings.cron", "v1", [Schedule, BindingFields.Route, BindingFields.Direction], (metadata, _, _) => Task.FromResult<IAsyncDisposable>(Read(metadata)));

    /// <exception cref="FormatException">Says what is wrong. Daprd takes an <c>@every</c> of nothing, and then calls its application thousands of times a second.</exception>
    public static CronSchedule Parse(string text)
    {
        var cron = GoCron.Parse(text, withSeconds: false);
        return cron.Every <= TimeSpan.Zero ? throw new FormatException($"a delay must be more than nothing: {text}") : new(cron);
    }

    /// <summary>Null when it never comes.</summary>
    public DateTimeOffset? Next(DateTimeOffset after) => _cron.Next(after);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static CronSchedule Read(ComponentMetadata metadata)
    {
        var text = metadata.Required(Schedule);
        try
        {
            return Parse(text);
        }
        catch (FormatException e)
        {
            throw metadata.Invalid(Schedule, $"@every and a duration, @daily, or a cron expression such as \"*/5 * * * * *\" ({e.Message})");
        }
    }
}
