using System.Text.Json;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Actors;

internal readonly record struct ActorKey(string Type, string Id)
{
    public override string ToString() => $"{Type}||{Id}";
}

/// <summary>How actors of one type are run: what the application says in GET /dapr/config, and dapr's defaults for the rest.</summary>
internal sealed record ActorSettings(TimeSpan IdleTimeout, TimeSpan DrainTimeout, bool DrainRebalanced, bool Reentrant, int MaxStackDepth)
{
    public static ActorSettings Default { get; } = new(TimeSpan.FromHours(1), TimeSpan.FromSeconds(2), true, false, 32);

    /// <summary>The settings of each hosted type; none when the application hosts no actors. <c>entitiesConfig</c> overrides the rest.</summary>
    /// <param name="config">The application's answer, whatever it is.</param>
    /// <param name="tell">Hears of each setting that cannot be used; the default takes its place.</param>
    public static IReadOnlyDictionary<string, ActorSettings> Read(JsonElement config, Action<string> tell)
    {
        if (Types(config) is not { Count: > 0 } types)
            return new Dictionary<string, ActorSettings>();

        var common = ReadOne(config, Default, tell);
        var settings = types.Distinct().ToDictionary(type => type, _ => common);
        if (Field(config, "entitiesConfig") is { ValueKind: JsonValueKind.Array } overrides)
        {
            foreach (var entry in overrides.EnumerateArray())
            {
                var own = ReadOne(entry, common, tell);
                foreach (var type in Types(entry).Where(settings.ContainsKey))
                    settings[type] = own;
            }
        }
        return settings;
    }

    private static ActorSettings ReadOne(JsonElement json, ActorSettings otherwise, Action<string> tell)
    {
        var reentrancy = Field(json, "reentrancy");
        return new(
            Duration(json, "actorIdleTimeout", tell) ?? otherwise.IdleTimeout,
            Duration(json, "drainOngoingCallTimeout", tell) ?? otherwise.DrainTimeout,
            Flag(json, "drainRebalancedActors") ?? otherwise.DrainRebalanced,
            Flag(reentrancy, "enabled") ?? otherwise.Reentrant,
            Field(reentrancy, "maxStackDepth") is { ValueKind: JsonValueKind.Number } depth && depth.TryGetInt32(out var most) ? most : otherwise.MaxStackDepth);
    }

    private static TimeSpan? Duration(JsonElement json, string field, Action<string> tell)
    {
        if (Field(json, field) is not { ValueKind: JsonValueKind.String } value || GoJson.Text(value) is not { Length: > 0 } text)
            return null;
        if (GoDuration.TryParse(text, out var duration) && duration >= TimeSpan.Zero)
            return duration;
        tell($"{field} is {GoText.Quote(text)}; expected a duration such as 1h or 0h10m0s0ms");
        return null;
    }

    private static bool? Flag(JsonElement json, string field) => Field(json, field).ValueKind switch
    {
        JsonValueKind.Undefined => null,
        var kind => kind == JsonValueKind.True,
    };

    private static List<string> Types(JsonElement json) => Field(json, "entities") is { ValueKind: JsonValueKind.Array } entities
        ? [.. entities.EnumerateArray().Where(e => e.ValueKind == JsonValueKind.String).Select(GoJson.Text)]
        : [];

    private static JsonElement Field(JsonElement json, string name) =>
        json.ValueKind == JsonValueKind.Object && GoJson.TryFind(json, name, out var value) ? value : default;
}
