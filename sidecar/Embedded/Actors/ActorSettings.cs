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
    private const string Object = "an object";
    private const string Text = "a text";
    private const string List = "a list";
    private const string WholeNumber = "a whole number";
    private const string Truth = "true or false";

    public static ActorSettings Default { get; } = new(TimeSpan.FromHours(1), TimeSpan.FromSeconds(2), true, false, 32);

    /// <summary>
    /// The settings of each hosted type; none when the application hosts no actors. A type of <c>entitiesConfig</c> has those of its entry and the
    /// defaults, and of the common ones only those of draining (dapr pkg/actors/actors.go, pkg/actors/api/config.go).
    /// </summary>
    /// <param name="config">The application's answer, whatever it is.</param>
    /// <param name="tell">Hears of what cannot be used, and what comes of it.</param>
    public static IReadOnlyDictionary<string, ActorSettings> Read(JsonElement config, Action<string> tell)
    {
        try
        {
            return ReadAll(config, tell);
        }
        catch (FormatException mistake)
        {
            tell($"{mistake.Message}. No actors are hosted");
            return new Dictionary<string, ActorSettings>();
        }
    }

    private static Dictionary<string, ActorSettings> ReadAll(JsonElement config, Action<string> tell)
    {
        var common = ReadOne(Checked(config, "the answer", Object), Default, mistake => throw new FormatException(mistake));
        var settings = Types(config).Distinct().ToDictionary(type => type, _ => common);
        var defaults = Default with { DrainTimeout = common.DrainTimeout };
        foreach (var entry in Items(config, "entitiesConfig", Object))
        {
            var own = ReadOne(entry, defaults, mistake => tell($"{mistake}. The default is used")) with { DrainRebalanced = common.DrainRebalanced };
            foreach (var type in Types(entry).Where(settings.ContainsKey))
                settings[type] = own;
        }
        return settings;
    }

    private static ActorSettings ReadOne(JsonElement json, ActorSettings otherwise, Action<string> refuse)
    {
        var reentrancy = Field(json, "reentrancy", Object);
        return new(
            Duration(json, "actorIdleTimeout", refuse) ?? otherwise.IdleTimeout,
            Duration(json, "drainOngoingCallTimeout", refuse) ?? otherwise.DrainTimeout,
            Flag(json, "drainRebalancedActors") ?? otherwise.DrainRebalanced,
            Flag(reentrancy, "enabled") ?? otherwise.Reentrant,
            Field(reentrancy, "maxStackDepth", WholeNumber) is { ValueKind: JsonValueKind.Number } depth ? depth.GetInt32() : otherwise.MaxStackDepth);
    }

    private static TimeSpan? Duration(JsonElement json, string field, Action<string> refuse)
    {
        if (Field(json, field, Text) is not { ValueKind: JsonValueKind.String } value || GoJson.Text(value) is not { Length: > 0 } text)
            return null;
        if (GoDuration.TryParse(text, out var duration) && duration >= TimeSpan.Zero)
            return duration;
        refuse($"{field} is {GoText.Quote(text)}; expected a duration such as 1h or 0h10m0s0ms");
        return null;
    }

    private static bool? Flag(JsonElement json, string field) => Field(json, field, Truth).ValueKind switch
    {
        JsonValueKind.Undefined => null,
        var kind => kind == JsonValueKind.True,
    };

    private static List<string> Types(JsonElement json) => [.. Items(json, "entities", Text).Where(type => type.ValueKind == JsonValueKind.String).Select(GoJson.Text)];

    private static IEnumerable<JsonElement> Items(JsonElement json, string name, string expected) => Field(json, name, List) is { ValueKind: JsonValueKind.Array } list
        ? list.EnumerateArray().Select(item => Checked(item, name, expected))
        : [];

    /// <summary>As Go's decoder finds it: its name without case, the last one where it comes again, and null is nothing.</summary>
    private static JsonElement Field(JsonElement json, string name, string expected)
    {
        JsonElement found = default;
        if (json.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in json.EnumerateObject().Where(property => GoJson.Name(property).Equals(name, StringComparison.OrdinalIgnoreCase)))
                found = Checked(property.Value, name, expected);
        }

        return found;
    }

    /// <exception cref="FormatException">Go's decoder refuses the value, and daprd the whole answer.</exception>
    private static JsonElement Checked(JsonElement value, string name, string expected)
    {
        var isExpected = value.ValueKind switch
        {
            JsonValueKind.Null => true,
            JsonValueKind.Object => expected == Object,
            JsonValueKind.String => expected == Text,
            JsonValueKind.Array => expected == List,
            JsonValueKind.Number => expected == WholeNumber && value.TryGetInt32(out _),
            _ => expected == Truth,
        };
        var where = name == "the answer" ? name : $"'{name}'";
        return isExpected ? value.ValueKind == JsonValueKind.Null ? default : value : throw new FormatException($"expected {expected} in {where}, got {GoJson.Kind(value)}");
    }
}
