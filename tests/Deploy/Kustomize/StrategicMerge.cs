using System.Text.Json.Nodes;

namespace DaprOrders.Deploy.Tests.Kustomize;

/// <summary>
/// Kubernetes' strategic merge of a patch into an object, as far as the patches here need it: objects are merged, lists of things with a name are
/// merged by it. What it does not know it refuses.
/// </summary>
internal static class StrategicMerge
{
    /// <summary>By what a list's entries are told apart (patchMergeKey in the API's types).</summary>
    private static readonly Dictionary<string, string> Keys = new(StringComparer.Ordinal)
    {
        ["containers"] = "name",
        ["env"] = "name",
        ["ports"] = "containerPort",
        ["topologySpreadConstraints"] = "topologyKey",
        ["volumeMounts"] = "mountPath",
        ["volumes"] = "name",
    };

    public static JsonObject Merge(JsonObject into, JsonObject patch)
    {
        var merged = (JsonObject)into.DeepClone();
        foreach (var (name, value) in patch)
        {
            if (name.StartsWith('$') || value is null)
                throw new NotSupportedException($"A patch that removes or directs ({name}) is not evaluated here.");

            merged[name] = (merged[name], value) switch
            {
                (null, _) => value.DeepClone(),
                (JsonObject old, JsonObject changes) => Merge(old, changes),
                (JsonArray old, JsonArray changes) => MergeLists(name, old, changes),
                (JsonValue, JsonValue) => value.DeepClone(),
                var (old, _) => throw new NotSupportedException($"{name}: {value.GetValueKind()} in the place of {old.GetValueKind()}."),
            };
        }

        return merged;
    }

    /// <summary>The patch's entries come first, as they do by kustomize.</summary>
    private static JsonArray MergeLists(string name, JsonArray old, JsonArray changes)
    {
        var key = Keys.GetValueOrDefault(name) ?? throw new NotSupportedException($"How the lists {name} are merged is not known here; say it in {nameof(StrategicMerge)}.");
        var left = old.Select(entry => (JsonObject)entry!).ToList();
        var merged = new JsonArray();
        foreach (var change in changes.Select(entry => (JsonObject)entry!))
        {
            var same = left.Find(entry => JsonNode.DeepEquals(entry[key], change[key]));
            merged.Add((JsonNode)(same is null ? (JsonObject)change.DeepClone() : Merge(same, change)));
            if (same is not null)
                left.Remove(same);
        }

        foreach (var entry in left)
            merged.Add(entry.DeepClone());
        return merged;
    }
}
