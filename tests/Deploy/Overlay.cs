using System.Text.Json.Nodes;
using DaprOrders.Deploy.Tests.Kustomize;
using k8s;
using k8s.Models;

namespace DaprOrders.Deploy.Tests;

/// <summary>What an overlay of deploy/k8s puts into a cluster.</summary>
internal sealed class Overlay
{
    public const string Try = "try";

    public const string Console = "console";

    private const string DaprGroup = "dapr.io/";

    private Overlay(string name) => (Name, Objects) = (name, Kustomization.Build(FolderOf(name)));

    /// <summary>All of overlays/, and the one to try the system with.</summary>
    public static IReadOnlyList<string> Names { get; } =
        [.. Directory.GetDirectories(PathOf("overlays")).Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal), Try];

    public string Name { get; }

    public IReadOnlyList<JsonObject> Objects { get; }

    /// <summary>Dapr's own objects: components, subscriptions and so on.</summary>
    public IEnumerable<JsonObject> Dapr => Objects.Where(o => Text(o["apiVersion"]).StartsWith(DaprGroup, StringComparison.Ordinal));

    /// <summary>The pods' templates, by the name of what makes them.</summary>
    public IReadOnlyDictionary<string, V1PodTemplateSpec> Pods =>
        All<V1Deployment>().Select(d => (d.Metadata.Name, d.Spec.Template))
            .Concat(All<V1StatefulSet>().Select(s => (s.Metadata.Name, s.Spec.Template)))
            .ToDictionary(pod => pod.Name, pod => pod.Template, StringComparer.Ordinal);

    /// <summary>Of what has a sidecar, by its application's id.</summary>
    public IReadOnlyDictionary<string, V1Deployment> Applications =>
        All<V1Deployment>()
            .Where(d => d.Spec.Template.Metadata.Annotations?.ContainsKey("dapr.io/enabled") == true)
            .ToDictionary(d => d.Spec.Template.Metadata.Annotations["dapr.io/app-id"], StringComparer.Ordinal);

    public static Overlay Of(string name) => new(name);

    public static string FolderOf(string name) => name == Try ? PathOf(Try) : PathOf("overlays", name);

    public static string PathOf(params string[] parts) => RepositoryFiles.PathOf(["deploy", "k8s", .. parts]);

    public static string Text(JsonNode? node) => (string)node!;

    /// <summary>Each object of the kind, read strictly: a field that Kubernetes does not know is a mistake.</summary>
    public IEnumerable<T> All<T>()
        where T : IKubernetesObject
    {
        var entity = (KubernetesEntityAttribute)Attribute.GetCustomAttribute(typeof(T), typeof(KubernetesEntityAttribute))!;
        var apiVersion = entity.Group.Length == 0 ? entity.ApiVersion : $"{entity.Group}/{entity.ApiVersion}";
        return Objects.Where(o => Text(o["kind"]) == entity.Kind && Text(o["apiVersion"]) == apiVersion)
            .Select(o => KubernetesYaml.Deserialize<T>(o.ToJsonString(), strict: true));
    }

    public IEnumerable<JsonObject> OfKind(string kind) => Objects.Where(o => Text(o["kind"]) == kind);
}
