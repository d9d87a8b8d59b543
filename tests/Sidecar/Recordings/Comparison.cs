using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>One place where what came is not what was recorded. Step 0 is the start; a null stands for nothing.</summary>
public sealed record Difference(int Step, string What, string? Recorded, string? Came)
{
    /// <summary>A call that came and is not recorded, or is recorded and did not come.</summary>
    public bool IsOfACall => What == Comparison.AllCalls || What.StartsWith(Comparison.OneCall, StringComparison.Ordinal);

    public override string ToString() =>
        $"step {Step}, {What}:{Environment.NewLine}    recorded {Recorded ?? "nothing"}{Environment.NewLine}    came     {Came ?? "nothing"}";
}

/// <summary>
/// Compares what was got with a recording: status, error, body, headers, and the calls with their answers. The order of calls within
/// one wait, and of bulk results, counts only where the recording speaks of it; times never do, but how many calls were handled at
/// once does.
/// </summary>
public sealed partial class Comparison(Recording recording)
{
    public const string AllCalls = "calls";
    public const string OneCall = "calls (of";

    private const int ClockTick = 5;

    private static readonly JsonSerializerOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The part of daprd's time that a slow answer must take at least.</summary>
    private const double Patient = 0.6;

    private readonly bool _orderCounts = recording.About.Contains("which order", StringComparison.Ordinal);
    private readonly List<Difference> _differences = [];

    /// <param name="start">The calls until the sidecars were ready.</param>
    /// <param name="got">What each step got, in order.</param>
    public static IReadOnlyList<Difference> Of(Recording recording, JsonArray start, IReadOnlyList<JsonObject> got)
    {
        var comparison = new Comparison(recording);
        comparison.Calls(0, recording.Start, start);
        for (var i = 0; i < recording.Steps.Count; i++)
            comparison.Step(i + 1, "", recording.Steps[i], got[i]);
        return comparison._differences;
    }

    private void Step(int number, string within, JsonObject step, JsonObject got)
    {
        if (step["parallel"]?.AsArray() is { } parallel)
        {
            Parallel(number, parallel, got["parallel"]!.AsArray());
            return;
        }
        var recorded = step["got"]?.AsObject() ?? [];
        foreach (var name in recorded.Concat(got).Select(field => field.Key).Distinct())
        {
            switch (name)
            {
                case "ms" or "elapsedMs":
                    break;
                case "log":
                    // Told in other words.
                    break;
                case "error":
                    // The text is the client's own.
                    Values(number, within + name, recorded[name] is null ? null : "an error", got[name] is null ? null : "an error");
                    break;
                case "calls":
                    Calls(number, recorded[name]?.AsArray() ?? [], got[name]?.AsArray() ?? []);
                    break;
                default:
                    Json(number, within + name, recorded[name], got[name]);
                    break;
            }
        }
        if (within.Length == 0)
            Patience(number, recorded, got);
    }

    /// <summary>Who had to wait: an answer that took daprd long may not come at once. Slowness is the machine's, and no difference.</summary>
    private void Patience(int number, JsonObject recorded, JsonObject got)
    {
        if (recorded["ms"] is { } ms && Number(got["elapsedMs"]) < Number(ms) * Patient)
            _differences.Add(new Difference(number, "time", $"{ms} ms", $"{got["elapsedMs"]} ms"));
    }

    /// <summary>Which of several equal calls is the one that wins, or waits, is chance: their answers, and the times, are compared sorted.</summary>
    private void Parallel(int number, JsonArray parallel, JsonArray got)
    {
        var steps = parallel.Select((step, i) => (Step: step!.AsObject(), Got: got[i]!.AsObject())).ToList();
        foreach (var equal in steps.GroupBy(step => $"{step.Step["http"]}{step.Step["grpc"]}{step.Step["headers"]?.ToJsonString()}"))
        {
            var recorded = equal.Select(step => step.Step).OrderBy(step => Canonical(step["got"]?["status"])).ToList();
            var came = equal.Select(step => step.Got).OrderBy(step => Canonical(step["status"])).ToList();
            for (var i = 0; i < recorded.Count; i++)
                Step(number, $"parallel {equal.Key} ", recorded[i], came[i]);
        }
        ParallelTimes(number, parallel, got);
    }

    private void ParallelTimes(int number, JsonArray parallel, JsonArray got)
    {
        var recordedTimes = parallel.Select(step => Number(step!["got"]?["ms"])).Order();
        var cameTimes = got.Select(one => Number(one!["elapsedMs"])).Order();
        foreach (var (recordedMs, cameMs) in recordedTimes.Zip(cameTimes).Where(pair => pair.Second < pair.First * Patient))
            _differences.Add(new Difference(number, "time", $"{recordedMs} ms", $"{cameMs} ms"));
    }

    /// <summary>More at once than daprd, or one after another where daprd does not, is a difference; a few less is a busy machine.</summary>
    private void Calls(int number, JsonArray recorded, JsonArray came)
    {
        if (HandledAtOnce(recorded) is { } recordedAtOnce && HandledAtOnce(came) is { } cameAtOnce && (cameAtOnce > recordedAtOnce || cameAtOnce == 1))
            Values(number, "calls handled at once", $"{recordedAtOnce}", $"{cameAtOnce}");
        if (_orderCounts)
        {
            Json(number, AllCalls, recorded, came);
            return;
        }
        // What is alike leaves first; what remains is compared in pairs of one app and path, so that the difference can be read.
        var unmet = recorded.Select(call => call!.AsObject()).ToList();
        var extra = new List<JsonObject>();
        foreach (var call in came.Select(call => call!.AsObject()))
        {
            var alike = unmet.FindIndex(expected => Alike(expected, call));
            if (alike < 0)
                extra.Add(call);
            else
                unmet.RemoveAt(alike);
        }
        foreach (var call in extra)
        {
            var near = unmet.FindIndex(expected => Text(expected, "app") == Text(call, "app") && Text(expected, "call") == Text(call, "call"));
            if (near < 0)
            {
                _differences.Add(new Difference(number, $"{OneCall} {recorded.Count} recorded, {came.Count} came)", null, Short(call)));
                continue;
            }
            Json(number, $"call {call["call"]}", unmet[near], call);
            unmet.RemoveAt(near);
        }
        foreach (var call in unmet)
            _differences.Add(new Difference(number, $"{OneCall} {recorded.Count} recorded, {came.Count} came)", Short(call), null));
    }

    private bool Alike(JsonObject recorded, JsonObject came)
    {
        var others = new Comparison(recording);
        others.Json(0, "", recorded, came);
        return others._differences.Count == 0;
    }

    /// <summary>The most calls that overlapped, from their arrival and the delay of their answer; null where no answer has one.</summary>
    private int? HandledAtOnce(JsonArray calls)
    {
        var handled = calls
            .Select(call => (From: Number(call!["atMs"]), Delay: DelayOf(call.AsObject()), Finished: call["answered"]?.GetValueKind() == JsonValueKind.Number && Number(call["answered"]) > 0))
            .Where(call => call is { Delay: > 0, Finished: true })
            .ToList();
        return handled.Count == 0
            ? null
            : handled.Max(one => handled.Count(other => other.From <= one.From && one.From < other.From + other.Delay - ClockTick));
    }

    private int DelayOf(JsonObject call)
    {
        var path = ((string)call["call"]!).Split('?')[0];
        var script = recording.Apps.SingleOrDefault(app => app.Id == (string)call["app"]!);
        return script?.Find(path)?.Value.Min(answer => answer.DelayMs) ?? 0;
    }

    private void Json(int number, string path, JsonNode? recorded, JsonNode? came)
    {
        switch (recorded, came)
        {
            // The older recordings show nothing of an Any without a type.
            case (JsonObject { Count: 0 }, JsonObject { Count: 1 } any) when path.EndsWith(" data", StringComparison.Ordinal) && any.ContainsKey("value"):
                break;
            case (JsonObject expected, JsonObject actual):
                foreach (var name in expected.Concat(actual).Select(field => field.Key).Distinct())
                {
                    if (name is "atMs" or "User-Agent" or "accept-encoding")
                        continue;
                    if (!expected.ContainsKey(name) || !actual.ContainsKey(name))
                        _differences.Add(new Difference(number, $"{path} {name}", Shown(expected, name), Shown(actual, name)));
                    else
                        Json(number, $"{path} {name}", expected[name], actual[name]);
                }
                break;
            case (JsonArray expected, JsonArray actual) when expected.Count == actual.Count:
                var (left, right) = AreResults(expected) && AreResults(actual)
                    ? (Sorted(expected), Sorted(actual))
                    : (expected.ToList(), actual.ToList());
                for (var i = 0; i < left.Count; i++)
                    Json(number, $"{path}[{i}]", left[i], right[i]);
                break;
            default:
                if (!Equal(recorded, came))
                    _differences.Add(new Difference(number, path, recorded?.ToJsonString(Readable), came?.ToJsonString(Readable)));
                break;
        }
    }

    private void Values(int number, string path, string? recorded, string? came)
    {
        if (recorded != came)
            _differences.Add(new Difference(number, path, recorded, came));
    }

    private static bool Equal(JsonNode? recorded, JsonNode? came)
    {
        if (recorded is null || came is null)
            return recorded is null && came is null;
        if (recorded.GetValueKind() == JsonValueKind.Number && came.GetValueKind() == JsonValueKind.Number)
            return recorded.ToJsonString() == came.ToJsonString() || Number(recorded) == Number(came);
        if (recorded.GetValueKind() != JsonValueKind.String || came.GetValueKind() != JsonValueKind.String)
            return JsonNode.DeepEquals(recorded, came);
        var (expected, actual) = (WithoutScript((string)recorded!), WithoutScript((string)came!));
        if (expected == actual)
            return true;
        // Told by its beginning, which depends on the order of fields: as long as it was, but for a line end behind it.
        if (DeepBody().Match(expected) is { Success: true } recordedLength && DeepBody().Match(actual) is { Success: true } cameLength)
            return int.Parse(recordedLength.Groups[1].Value, CultureInfo.InvariantCulture) - int.Parse(cameLength.Groups[1].Value, CultureInfo.InvariantCulture) is 0 or 1;
        // Raw data: the same JSON object, whatever the order of its fields.
        const string raw = "@base64 of ";
        if (expected.StartsWith(raw, StringComparison.Ordinal) && actual.StartsWith(raw, StringComparison.Ordinal))
            return JsonNode.DeepEquals(JsonNode.Parse(expected[raw.Length..]), JsonNode.Parse(actual[raw.Length..]));
        // The recordings have {time} for every time; what came has it only for those of the run itself.
        return (actual == "{time}" && IsTime(expected)) || (expected == "{time}" && IsTime(actual));

        static bool IsTime(string text) =>
            DateTimeOffset.TryParse(text.Replace(" +0000 UTC", "Z", StringComparison.Ordinal), CultureInfo.InvariantCulture, out _);
    }

    /// <summary>Where in which script an error of Redis was raised: daprd's and ours are other scripts.</summary>
    private static string WithoutScript(string text) => ScriptPlace().Replace(text, "$1");

    [GeneratedRegex("(user_script):\\d+|script: [0-9a-f]{40}, on @user_script:\\d+")]
    private static partial Regex ScriptPlace();

    [GeneratedRegex(@"\((\d+) bytes, deep\)$")]
    private static partial Regex DeepBody();

    /// <summary>Bulk results, and lists of components or actor types, have no order.</summary>
    private static bool AreResults(JsonArray items) =>
        items.Count > 1 && items.All(item => item is JsonObject one
            && (one.ContainsKey("key") || one.ContainsKey("entryId") || one.ContainsKey("name") || one.ContainsKey("type")));

    private static List<JsonNode?> Sorted(JsonArray items) => [.. items.OrderBy(Canonical, StringComparer.Ordinal)];

    private static string Canonical(JsonNode? json) => json switch
    {
        JsonObject fields => string.Join(
            ',', fields.OrderBy(field => field.Key, StringComparer.Ordinal).Select(field => $"{field.Key}:{Canonical(field.Value)}")),
        JsonArray items => string.Join(';', items.Select(Canonical)),
        _ => json?.ToJsonString() ?? "null",
    };

    private static string Text(JsonObject call, string name) => (string)call[name]!;

    private static double Number(JsonNode? number) => number is null ? 0 : double.Parse(number.ToJsonString(), CultureInfo.InvariantCulture);

    private static JsonObject WithoutTime(JsonObject call)
    {
        var copy = call.DeepClone().AsObject();
        copy.Remove("atMs");
        return copy;
    }

    private static string? Shown(JsonObject fields, string name) =>
        fields.TryGetPropertyValue(name, out var value) ? value?.ToJsonString(Readable) ?? "null" : null;

    private static string Short(JsonObject call)
    {
        var text = WithoutTime(call).ToJsonString(Readable);
        return text.Length <= 600 ? text : text[..600] + "...";
    }
}
