using System.Text.Json;
using System.Text.Json.Nodes;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>The player must not take different for alike.</summary>
public sealed class ComparisonTests
{
    public static TheoryData<string> All => [.. Recording.AllIds];

    public static TheoryData<string> Built => [.. Recording.AllIds.Where(id => Recording.Load(id).IsBuilt)];

    [Theory]
    [MemberData(nameof(All))]
    public void A_recording_is_alike_itself(string id)
    {
        var recording = Recording.Load(id);

        Assert.Empty(Comparison.Of(recording, Start(recording), Got(recording)));
    }

    [Theory]
    [MemberData(nameof(Built))]
    public void Every_part_of_every_answer_counts(string id)
    {
        foreach (var recording in StepByStep(Recording.Load(id)))
        {
            var got = Got(recording)[0];
            for (var i = 0; i < Leaves(got).Count(); i++)
            {
                var altered = got.DeepClone().AsObject();
                var leaf = Leaves(altered).ElementAt(i);
                leaf.Alter();
                var differences = Comparison.Of(recording, [], [altered]);
                Assert.True(differences.Count > 0, $"{id}: nobody noticed that {leaf.Name} was altered in {recording.Steps[0].ToJsonString()}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_call_too_few_or_too_many_is_seen(string id)
    {
        var recording = Recording.Load(id);
        for (var i = 0; i < recording.Steps.Count; i++)
        {
            if (recording.Steps[i]["calls"] is null)
                continue;
            var more = Got(recording);
            var calls = more[i]["calls"]?.AsArray() ?? [];
            more[i]["calls"] = new JsonArray([.. calls.Append(Call("GET /surprise")).Select(call => call!.DeepClone())]);
            Assert.NotEmpty(Comparison.Of(recording, Start(recording), more));
            if (calls.Count == 0)
                continue;
            var fewer = Got(recording);
            fewer[i]["calls"]!.AsArray().RemoveAt(0);
            Assert.NotEmpty(Comparison.Of(recording, Start(recording), fewer));
        }
    }

    [Fact]
    public void A_call_at_the_start_that_was_not_recorded_is_seen()
    {
        var recording = Recording.Load("any/sidecar-start");
        var start = Start(recording);
        start.Add(Call("GET /surprise"));

        Assert.NotEmpty(Comparison.Of(recording, start, Got(recording)));
    }

    [Fact]
    public void The_order_of_calls_counts_where_the_recording_speaks_of_it()
    {
        Assert.NotEmpty(Reversed("in-memory/pubsub-order"));
        Assert.Empty(Reversed("any/invoke-answers"));

        static IReadOnlyList<Difference> Reversed(string id)
        {
            var recording = Recording.Load(id);
            var got = Got(recording);
            var last = got.FindLastIndex(step => step["calls"] is not null);
            var times = got[last]["calls"]!.AsArray().Select(call => call!["atMs"]!.DeepClone()).ToList();
            var calls = new JsonArray([.. got[last]["calls"]!.AsArray().Reverse().Select(call => call!.DeepClone())]);
            for (var i = 0; i < times.Count; i++)
                calls[i]!["atMs"] = times[i];
            got[last]["calls"] = calls;
            return Comparison.Of(recording, Start(recording), got);
        }
    }

    [Fact]
    public void Handling_at_once_what_daprd_handles_one_after_another_is_seen()
    {
        var recording = Recording.Load("any/actors-turns");
        var got = Got(recording);
        foreach (var call in got[3]["calls"]!.AsArray())
            call!["atMs"] = 2203;

        Assert.Contains(new Difference(4, "calls handled at once", "1", "4"), Comparison.Of(recording, Start(recording), got));
    }

    [Fact]
    public void An_answer_at_once_where_daprd_waited_is_seen()
    {
        var recording = Recording.Load("any/resiliency-invoke");
        var got = Got(recording);
        got[7]["elapsedMs"] = 20;

        Assert.Contains(Comparison.Of(recording, Start(recording), got), difference => difference is { Step: 8, What: "time" });
    }

    private static IEnumerable<Recording> StepByStep(Recording recording) => recording.Steps.Select(step =>
    {
        var content = recording.Content.DeepClone().AsObject();
        content["steps"] = new JsonArray(step.DeepClone());
        content.Remove("start");
        return new Recording(recording.Id, content);
    });

    private static JsonObject Call(string call) =>
        new() { ["app"] = "one", ["atMs"] = 1, ["call"] = call, ["headers"] = new JsonObject(), ["answered"] = 404 };

    private static JsonArray Start(Recording recording) => recording.Start.DeepClone().AsArray();

    /// <summary>What a perfect sidecar would get.</summary>
    private static List<JsonObject> Got(Recording recording) => [.. recording.Steps.Select(Got)];

    private static JsonObject Got(JsonObject step)
    {
        if (step["parallel"]?.AsArray() is { } parallel)
            return new JsonObject { ["parallel"] = new JsonArray([.. parallel.Select(one => Got(one!.AsObject()))]) };
        var got = step["got"]?.DeepClone().AsObject() ?? [];
        got["elapsedMs"] = got["ms"]?.DeepClone() ?? 5;
        return got;
    }

    /// <summary>Times do not count, nor the client's text of a cut connection, nor its name, nor the words of a log.</summary>
    private static IEnumerable<Leaf> Leaves(JsonNode node, string name = "") => node switch
    {
        JsonObject fields => fields
            .Where(field => field.Key is not ("ms" or "elapsedMs" or "atMs" or "log" or "error" or "User-Agent" or "accept-encoding"))
            .SelectMany(field => field.Value is JsonObject { Count: > 0 } or JsonArray { Count: > 0 }
                ? Leaves(field.Value, field.Key)
                : [new Leaf(field.Key, field.Value, altered => fields[field.Key] = altered)]),
        JsonArray items => items
            .SelectMany((item, i) => item is JsonObject { Count: > 0 } or JsonArray { Count: > 0 }
                ? Leaves(item, name)
                : [new Leaf(name, item, altered => items[i] = altered)]),
        _ => [],
    };

    private sealed record Leaf(string Name, JsonNode? Value, Action<JsonNode> Replace)
    {
        public void Alter() => Replace(Value?.GetValueKind() == JsonValueKind.Number ? 77777 : "altered");
    }
}
