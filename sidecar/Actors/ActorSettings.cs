using System.Text.Json;
using DaprOrders.Sidecar.Formats;

namespace DaprOrders.Sidecar.Actors;

internal readonly record struct ActorKey(string Type, string Id)
{
    public override string ToString() => $"{Type}||{Id}";
}

/// <summary>How actors of one type are run: what the application says in GET /dapr/config, and dapr's defaults for the rest.</summary>
internal sealed record ActorSettings(TimeSpan IdleTimeout, TimeSpan DrainTimeout, bool DrainRebalanced, bool Reentrant, int MaxStackDepth)
{
    public static ActorSettings Default { get; } = new(TimeSpan.FromHours(1), TimeSpan.FromSeconds(2), true, false, 32);

    /// <summary>The settings of each hosted type; none when the application hosts no actors. <c>entitiesConfig</c> overrides the rest.</summary>
    /// <exception cref="FormatException">A duration that cannot be read, with the name of its field.</exception>
    public static IReadOnlyDictionary<string, ActorSettings> Read(JsonElement config)
    {
        if (config.ValueKind != JsonValueKind.Object || Types(config) is not { Count: > 0 } types)
            return new Dictionary<string, ActorSettings>();

        var common = ReadOne(config, Default);
        var settings = types.Distinct().ToDictionary(type => type, _ => common);
        if (config.TryGetProperty("entitiesConfig", out var overrides) && overrides.ValueKind == JsonValueKind.Array)
        {
            foreach (var entry in overrides.EnumerateArray())
            {
                var own = ReadOne(entry, common);
                foreach (var type in Types(entry))
                {
                    if (settings.ContainsKey(type))
                        settings[type] = own;
                }
            }
        }
        return settings;
    }

    private static ActorSettings ReadOne(JsonElement json, ActorSettings otherwise)
    {
        var reentrancy = json.TryGetProperty("reentrancy", out var given) && given.ValueKind == JsonValueKind.Object ? given : default;
        return new(
            Duration(json, "actorIdleTimeout") ?? otherwise.IdleTimeout,
            Duration(json, "drainOngoingCallTimeout") ?? otherwise.DrainTimeout,
            json.TryGetProperty("drainRebalancedActors", out var drain) ? drain.ValueKind == JsonValueKind.True : otherwise.DrainRebalanced,
            reentrancy.ValueKind == JsonValueKind.Object && reentrancy.TryGetProperty("enabled", out var enabled)
                ? enabled.ValueKind == JsonValueKind.True
                : otherwise.Reentrant,
            reentrancy.ValueKind == JsonValueKind.Object && reentrancy.TryGetProperty("maxStackDepth", out var depth)
                && depth.ValueKind == JsonValueKind.Number
                ? depth.GetInt32()
                : otherwise.MaxStackDepth);
    }

    private static TimeSpan? Duration(JsonElement json, string field)
    {
        if (!json.TryGetProperty(field, out var value) || value.ValueKind != JsonValueKind.String || value.GetString() is not { Length: > 0 } text)
            return null;
        return GoDuration.TryParse(text, out var duration)
            ? duration
            : throw new FormatException($"GET /dapr/config: {field} is \"{text}\"; expected a duration such as 1h or 0h10m0s0ms");
    }

    private static List<string> Types(JsonElement json) =>
        json.TryGetProperty("entities", out var entities) && entities.ValueKind == JsonValueKind.Array
            ? [.. entities.EnumerateArray().Where(e => e.ValueKind == JsonValueKind.String).Select(e => e.GetString()!)]
            : [];
}
