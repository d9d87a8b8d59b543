using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>One scenario as it was played against daprd 1.18.1 (data/README.md is the format).</summary>
/// <param name="id">Component and scenario, for instance <c>in-memory/state-etag</c>: the path of the file under data.</param>
public sealed partial class Recording(string id, JsonObject content)
{
    public string Id { get; } = id;

    public JsonObject Content { get; } = content;

    /// <summary>Of the redis that it was recorded with.</summary>
    public const string RedisAddress = "127.0.0.1:6379";

    public static string DataFolder { get; } = Path.Combine(AppContext.BaseDirectory, "Recordings", "data");

    /// <summary>The components whose recordings are played; the others are data for components that are not built.</summary>
    public static IReadOnlySet<(string Kind, string Component)> BuiltComponents { get; } = new HashSet<(string, string)>
    {
        ("state", "in-memory"), ("state", "sqlite"), ("state", "redis"), ("state", "postgresql"), ("pubsub", "in-memory"), ("pubsub", "jetstream"),
        ("pubsub", "rabbitmq"), ("pubsub", "redis"), ("pubsub", "sqlite"),
    };

    public static IReadOnlyList<string> AllIds { get; } =
    [
        .. Directory.EnumerateFiles(DataFolder, "*.json", SearchOption.AllDirectories)
            .Select(file => Path.ChangeExtension(Path.GetRelativePath(DataFolder, file), null).Replace('\\', '/'))
            .Order(StringComparer.Ordinal),
    ];

    public string Component => Id[..Id.IndexOf('/', StringComparison.Ordinal)];

    public bool IsBuilt => Components().All(BuiltComponents.Contains);

    public string About => (string)Content["about"]!;

    public bool WithGrpcApps => (string?)Content["settings"]?["appProtocol"] == "grpc";

    public bool WithActors => (bool?)Content["actors"] ?? false;

    public IReadOnlyList<AppScript> Apps { get; } = [.. content["apps"]!.AsArray().Select(app => AppScript.From(app!.AsObject()))];

    public IReadOnlyList<JsonObject> Steps { get; } = [.. content["steps"]!.AsArray().Select(step => step!.AsObject())];

    /// <summary>The calls that the apps got until their sidecars were ready.</summary>
    public JsonArray Start => Content["start"]?.AsArray() ?? [];

    /// <summary>Headers that are looked at here, though no other recording minds them.</summary>
    public IEnumerable<string> Compare => (Content["compare"]?.AsArray() ?? []).Select(name => (string)name!);

    /// <summary>Bodies are written down as the text they are, not as JSON.</summary>
    public bool Exact => (bool?)Content["exact"] ?? false;

    /// <summary>The play goes on with apps whose sidecars do not get ready.</summary>
    public bool MayBeUnready => (bool?)Content["unready"] ?? false;

    /// <summary>What each kind of component is made of: <c>state</c> or <c>pubsub</c> to the name of its file.</summary>
    public IEnumerable<(string Kind, string Component)> Components()
    {
        if ((string?)Content["over"] is "state" or "pubsub")
            yield return ((string)Content["over"]!, Component);
        foreach (var (kind, component) in Content["fixed"]?.AsObject() ?? [])
            yield return (kind, (string)component!);
    }

    /// <summary>The components whose servers are needed: also those that only a file of the recording names.</summary>
    public IEnumerable<string> Servers() => Components().Select(component => component.Component)
        .Concat((Content["resources"]?.ToJsonString() ?? "").Contains(RedisAddress, StringComparison.Ordinal) ? ["redis"] : []).Distinct();

    /// <summary>Every topic that is subscribed, published to, or takes dead letters: brokers that make none themselves had them when it was recorded.</summary>
    public IReadOnlyCollection<string> Topics() => [.. TopicName().Matches(Content.ToJsonString()).Select(match => match.Groups[1].Value).Distinct()];

    public static Recording Load(string id)
    {
        using var file = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(DataFolder, id + ".json")));
        return new Recording(id, WithRawBodies(file.RootElement)!.AsObject());
    }

    [GeneratedRegex("""(?:"(?:topic|deadLetterTopic)":"|(?:topic|deadLetterTopic): |/publish/(?:bulk/)?pubsub/)([A-Za-z0-9-]+)""")]
    private static partial Regex TopicName();

    /// <summary>Bodies were sent as the file writes them, white space included: <c>jsonText</c> beside <c>json</c>.</summary>
    private static JsonNode? WithRawBodies(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => new JsonObject(element.EnumerateObject().SelectMany(field => field.Name == "json"
            ? [KeyValuePair.Create(field.Name, WithRawBodies(field.Value)), KeyValuePair.Create("jsonText", (JsonNode?)field.Value.GetRawText())]
            : new[] { KeyValuePair.Create(field.Name, WithRawBodies(field.Value)) })),
        JsonValueKind.Array => new JsonArray([.. element.EnumerateArray().Select(WithRawBodies)]),
        _ => JsonSerializer.SerializeToNode(element),
    };
}

/// <summary>An application of a scenario: what it answers, by "VERB /path".</summary>
/// <param name="OpensAfter">The start; null where a step opens it.</param>
/// <param name="Silent">Calls that are answered and not written down.</param>
/// <param name="IsOff">Its sidecar is not started.</param>
/// <param name="Configuration">The lines of a Configuration of its own; null where it has that of all.</param>
public sealed record AppScript(
    string Id, bool HasPort, TimeSpan? OpensAfter, JsonArray? Configuration, IReadOnlyDictionary<string, IReadOnlyList<AppAnswer>> Serve, IReadOnlySet<string> Silent, bool IsOff = false)
{
    /// <summary>Where it is not <see cref="Id"/>: two apps of one app id are replicas.</summary>
    public string AppId { get; init; } = Id;

    /// <summary>Run-file settings of its own, before those of all apps.</summary>
    public JsonObject? Settings { get; init; }

    public static AppScript From(JsonObject app) => new(
        (string)app["id"]!,
        !((bool?)app["noPort"] ?? false),
        (bool?)app["closed"] == true ? null : TimeSpan.FromMilliseconds((double?)app["lateMs"] ?? 0),
        app["config"]?.AsArray(),
        (app["serve"]?.AsObject() ?? []).ToDictionary(
            served => served.Key,
            served => (IReadOnlyList<AppAnswer>)served.Value.Deserialize<List<AppAnswer>>(JsonSerializerOptions.Web)!),
        (app["silent"]?.AsArray() ?? []).Select(call => (string)call!).ToHashSet(),
        (bool?)app["off"] ?? false)
    {
        AppId = (string?)app["appId"] ?? (string)app["id"]!,
        Settings = app["settings"]?.AsObject(),
    };

    /// <summary>The entry that answers a call: the exact one, or the longest that ends in a star.</summary>
    public KeyValuePair<string, IReadOnlyList<AppAnswer>>? Find(string verbAndPath) =>
        Serve
            .Where(served => served.Key == verbAndPath
                || (served.Key.EndsWith('*') && verbAndPath.StartsWith(served.Key[..^1], StringComparison.Ordinal)))
            .OrderByDescending(served => served.Key == verbAndPath).ThenByDescending(served => served.Key.Length)
            .Select(served => (KeyValuePair<string, IReadOnlyList<AppAnswer>>?)served)
            .FirstOrDefault();
}

/// <summary>
/// One answer of an application. <c>Bulk</c> answers a bulk delivery, a status by the <c>name</c> in the entry's data. <c>Raw</c> goes over
/// the wire in place of an answer, <c>-</c> is nothing, and then the connection is closed; <c>Early</c> comes before the body is read.
/// </summary>
/// <param name="JsonText">The JSON as the file writes it.</param>
/// <param name="Code">The name of the gRPC code; null is OK.</param>
public sealed record AppAnswer(
    int? Status,
    IReadOnlyDictionary<string, string>? Headers,
    string? Raw,
    string? JsonText,
    string? Text,
    bool Early,
    string? Code,
    int DelayMs,
    IReadOnlyDictionary<string, string>? Bulk);
