using System.Text.Json;
using System.Text.Json.Nodes;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>
/// What is expected of the embedded sidecar where it is not "as recorded" (expectations.json). A recording that is not built is on that list only,
/// and each entry says why.
/// </summary>
/// <param name="NotBuilt">Recordings of a built kind that need a component which is not.</param>
/// <param name="Deliberate">Where the sidecar does something else on purpose: what it does instead.</param>
/// <param name="Files">The same of files that daprd was started with (Resources/Recorded), by recording and the number of the step.</param>
public sealed record Expectations(
    IReadOnlyDictionary<string, string> NotBuilt,
    IReadOnlyDictionary<string, DeliberateDifference> Deliberate,
    IReadOnlyDictionary<string, FileDifference> Files)
{
    public static Expectations OfTheEmbeddedSidecar { get; } = JsonSerializer.Deserialize<Expectations>(
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Recordings", "expectations.json")), JsonSerializerOptions.Web)!;

    public static Expectations OfDaprd { get; } = new(
        new Dictionary<string, string>(), new Dictionary<string, DeliberateDifference>(), new Dictionary<string, FileDifference>());

    /// <summary>Null when the recording is played.</summary>
    public string? WhyNotPlayed(Recording recording) =>
        recording.IsBuilt ? NotBuilt.GetValueOrDefault(recording.Id) : $"not built: {string.Join(", ", recording.Components().Except(Recording.BuiltComponents))}";

    /// <summary>The recording with what the sidecar deliberately does instead.</summary>
    public Recording Expected(Recording recording)
    {
        if (!Deliberate.TryGetValue(recording.Id, out var difference))
            return recording;
        var content = recording.Content.DeepClone().AsObject();
        foreach (var (step, instead) in difference.Instead ?? new Dictionary<int, JsonObject>())
        {
            if (step == 0)
                content["start"] = instead["calls"]!.DeepClone();
            else
                content["steps"]![step - 1]!["got"] = instead.DeepClone();
        }
        foreach (var step in content["steps"]!.AsArray().Where(step => difference.Texts is not null && step!["got"] is not null))
            step!["got"] = WithTexts(step["got"]!, difference.Texts!);
        foreach (var app in difference.Without ?? [])
            Remove(app, content);
        foreach (var step in difference.Sooner ?? [])
            RemoveTimes(content["steps"]![step - 1]!.AsObject());
        if (difference.AnyOrder)
            content["about"] = difference.Reason;
        return new Recording(recording.Id, content);
    }

    private static void Remove(string app, JsonObject content)
    {
        foreach (var (part, name) in new[] { ("apps", "id"), ("steps", "app"), ("start", "app") })
            content[part]!.AsArray().RemoveAll(one => (string?)one![name] == app);
    }

    private static void RemoveTimes(JsonObject step)
    {
        step["got"]?.AsObject().Remove("ms");
        foreach (var one in step["parallel"]?.AsArray() ?? [])
            RemoveTimes(one!.AsObject());
    }

    private static JsonNode? WithTexts(JsonNode? node, IReadOnlyDictionary<string, string> texts) => node switch
    {
        JsonObject fields => new JsonObject(fields.Select(field => KeyValuePair.Create(field.Key, WithTexts(field.Value, texts)))),
        JsonArray items => new JsonArray([.. items.Select(item => WithTexts(item, texts))]),
        JsonValue value when value.TryGetValue<string>(out var text) && texts.TryGetValue(text, out var instead) => instead,
        _ => node?.DeepClone(),
    };
}

/// <param name="Instead">By the number of the step: the whole of what it gets. 0 is the start.</param>
/// <param name="Texts">Texts of daprd in what any step gets, and ours.</param>
/// <param name="Without">Apps that are left out with all their steps: their sidecars do not start.</param>
/// <param name="Sooner">Steps that need not take as long as they took with daprd.</param>
/// <param name="AnyOrder">The recorded order of calls is one of those that chance gives.</param>
public sealed record DeliberateDifference(
    string Reason,
    IReadOnlyDictionary<int, JsonObject>? Instead,
    IReadOnlyDictionary<string, string>? Texts,
    IReadOnlyList<string>? Without,
    IReadOnlyList<int>? Sooner,
    bool AnyOrder = false);

/// <param name="Instead">What comes in the place of what daprd was recorded with (<see cref="Difference.Came"/>); null: it is not played.</param>
public sealed record FileDifference(string Reason, string? Instead);
