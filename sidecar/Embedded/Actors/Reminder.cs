using System.Text.Json.Serialization;

namespace EmbeddedSidecar.Actors;

internal readonly record struct ReminderKey(ActorKey Actor, string Name);

/// <summary>What follows a failed call of a reminder. The default is the Scheduler's: three more attempts, a second apart.</summary>
internal sealed record ReminderRetry(int MaxRetries, TimeSpan Interval)
{
    public static ReminderRetry Default { get; } = new(3, TimeSpan.FromSeconds(1));

    public static ReminderRetry None { get; } = new(0, TimeSpan.Zero);
}

/// <summary>A reminder as it is kept. <c>Data</c> is JSON; <c>DueTime</c> as it was registered, <c>Ttl</c> too.</summary>
internal sealed record Reminder(
    ReminderKey Key,
    byte[] Data,
    string DueTime,
    string Ttl,
    ActorSchedule Schedule,
    ReminderRetry Retry)
{
    /// <summary>As the API tells it: <c>@every 1s</c>, empty for one that fires once.</summary>
    [JsonIgnore]
    public string Period => ActorSchedule.Describe(Schedule.Period);
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(Reminder))]
[JsonSerializable(typeof(HashSet<string>))]
internal sealed partial class ReminderJson : JsonSerializerContext;
