using System.Text.Json.Nodes;

namespace DaprOrders.Deploy.Tests.Kustomize;

/// <summary>
/// What <c>kubectl kustomize</c> makes of a folder, as far as deploy/k8s needs it: resources, components, patches, the namespace and the order. Anything else in
/// a kustomization.yaml is refused, and KustomizeTests holds it to kubectl where there is one.
/// </summary>
internal static class Kustomization
{
    private static readonly HashSet<string> ClusterWide = ["Namespace"];

    /// <summary>In the order of the folder's own sortOptions; kustomize passes over those of what it refers to.</summary>
    public static List<JsonObject> Build(string folder) =>
        Sort(Build(folder, []), YamlNodes.Read(Path.Combine(folder, "kustomization.yaml")).Single()["sortOptions"]?.AsObject(), folder);

    /// <param name="folder">With a kustomization.yaml.</param>
    /// <param name="objects">What is there when a component comes to it.</param>
    private static List<JsonObject> Build(string folder, List<JsonObject> objects)
    {
        var file = Path.Combine(folder, "kustomization.yaml");
        var kustomization = YamlNodes.Read(file).Single();
        foreach (var (name, _) in kustomization)
        {
            if (name is not ("apiVersion" or "kind" or "namespace" or "resources" or "components" or "patches" or "sortOptions"))
                throw new NotSupportedException($"{file}: {name} is not evaluated here.");
        }

        foreach (var path in Paths(kustomization, "resources").Select(resource => Path.GetFullPath(resource, folder)))
            objects.AddRange(Directory.Exists(path) ? Build(path, []) : YamlNodes.Read(path));
        foreach (var component in Paths(kustomization, "components"))
            objects = Build(Path.GetFullPath(component, folder), objects);
        foreach (var patch in kustomization["patches"]?.AsArray() ?? [])
            objects = Apply((JsonObject)patch!, folder, objects);
        if (kustomization["namespace"] is { } space)
            objects.ForEach(o => SetNamespace(o, (string)space!));
        return objects;
    }

    /// <summary>As kustomize's SortOrderTransformer: the kinds named, then all others, then the kinds named as last; alike by group, version, kind, namespace and name.</summary>
    private static List<JsonObject> Sort(List<JsonObject> objects, JsonObject? options, string folder)
    {
        if (options is null)
            return objects;
        if ((string)options["order"]! != "legacy" || options["legacySortOptions"] is not { } kinds)
            throw new NotSupportedException($"{folder}: expected sortOptions with the order legacy and legacySortOptions, got {options.ToJsonString()}");

        var first = kinds["orderFirst"]!.AsArray().Select(kind => (string)kind!).ToList();
        var last = kinds["orderLast"]!.AsArray().Select(kind => (string)kind!).ToList();
        return [.. objects.OrderBy(Place).ThenBy(Kind, StringComparer.Ordinal).ThenBy(Name, StringComparer.Ordinal)];

        int Place(JsonObject o) => first.IndexOf((string)o["kind"]!) is >= 0 and var place ? place - first.Count : last.IndexOf((string)o["kind"]!) + 1;

        // What is not there comes after what is.
        static string Kind(JsonObject o) => (string)o["apiVersion"]! is var version && version.Contains('/', StringComparison.Ordinal) ? $"{version.Replace('/', '_')}_{o["kind"]}" : $"~G_{version}_{o["kind"]}";

        static string Name(JsonObject o) => $"{o["metadata"]!["namespace"] ?? "~X"}_{o["metadata"]!["name"]}";
    }

    private static IEnumerable<string> Paths(JsonObject kustomization, string name) =>
        kustomization[name]?.AsArray().Select(path => (string)path!) ?? [];

    private static List<JsonObject> Apply(JsonObject patch, string folder, List<JsonObject> objects)
    {
        var changes = YamlNodes.Read(Path.GetFullPath((string)patch["path"]!, folder)).Single();
        var target = patch["target"]?.AsObject();
        var met = 0;
        var patched = objects.ConvertAll(o =>
        {
            if (!(target is null ? IsSame(o, changes) : IsMeant(o, target)))
                return o;
            met++;
            var merged = StrategicMerge.Merge(o, changes);
            merged["metadata"]!["name"] = (string)o["metadata"]!["name"]!;
            return merged;
        });
        return met > 0 ? patched : throw new InvalidOperationException($"{folder}: no object for the patch {patch["path"]}.");
    }

    private static bool IsSame(JsonObject o, JsonObject patch) =>
        (string)o["kind"]! == (string)patch["kind"]! && (string)o["metadata"]!["name"]! == (string)patch["metadata"]!["name"]!;

    private static bool IsMeant(JsonObject o, JsonObject target)
    {
        if (target.Any(field => field.Key is not ("kind" or "labelSelector")))
            throw new NotSupportedException($"A target by {string.Join(", ", target.Select(field => field.Key))} is not evaluated here.");
        if ((string)target["labelSelector"]! is not { } selector || selector.Split('=') is not [var label, var value])
            throw new NotSupportedException("Expected a target with a labelSelector of one label=value.");
        return (string)o["kind"]! == (string)target["kind"]! && (string?)o["metadata"]!["labels"]?[label] == value;
    }

    private static void SetNamespace(JsonObject o, string name)
    {
        if (!ClusterWide.Contains((string)o["kind"]!))
            o["metadata"]!["namespace"] = name;
    }
}
