using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DaprOrders.Deploy.Tests.Kustomize;

namespace DaprOrders.Deploy.Tests;

/// <summary>Whom Prometheus asks, on one machine and on a cluster: every service that has metrics, and every sidecar, each under its name. The alerts count by it.</summary>
public sealed class PrometheusTests
{
    private const string PaymentProvider = "payment-provider";

    /// <summary>The name that Dapr's injector gives to the port (pkg/injector/consts).</summary>
    private const string SidecarsPort = "dapr-metrics";

    private static readonly string[] WithMetrics = [.. RunFile.Ports.Keys.Except([PaymentProvider, Overlay.Console])];
    private static readonly string[] WithSidecars = [.. RunFile.Ports.Keys.Except([PaymentProvider])];

    public static TheoryData<string> Overlays => [.. Overlay.Names];

    [Fact]
    public void On_one_machine_they_are_asked_at_the_ports_of_the_run_file()
    {
        Assert.Equal(Expected(WithMetrics, RunFile.Ports), Targets("services"));
        Assert.Equal(Expected(WithSidecars, RunFile.MetricsPorts), Targets("sidecars"));

        static IEnumerable<string> Expected(IEnumerable<string> apps, IReadOnlyDictionary<string, int> ports) =>
            apps.Select(app => $"{app} localhost:{ports[app]}").Order(StringComparer.Ordinal);

        static IEnumerable<string> Targets(string job) => Job("prometheus.yaml", job)["static_configs"]!.AsArray()
            .Select(config => $"{config!["labels"]!["app"]} {config["targets"]!.AsArray().Single()}").Order(StringComparer.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void On_a_cluster_they_are_found_among_the_ports_of_all_pods(string overlay)
    {
        Assert.Equal(WithMetrics.Order(StringComparer.Ordinal), Found("services"));
        Assert.Equal(WithSidecars.Order(StringComparer.Ordinal), Found("sidecars"));

        IEnumerable<string> Found(string job)
        {
            var rules = Job("prometheus-kubernetes.yaml", job)["relabel_configs"]!.AsArray();
            return PortsOf(Overlay.Of(overlay)).Where(port => rules.All(rule => Apply(rule!, port))).Select(port => port.GetValueOrDefault("app", "")).Order(StringComparer.Ordinal);
        }
    }

    /// <summary>Each container's port as Prometheus discovers it (role: pod).</summary>
    private static IEnumerable<Dictionary<string, string>> PortsOf(Overlay overlay) =>
        from pod in overlay.Pods.Values
        let ports = pod.Spec.Containers.SelectMany(container => container.Ports).Select(port => port.Name)
        from port in pod.Metadata.Annotations?.ContainsKey("dapr.io/enabled") == true ? ports.Append(SidecarsPort) : ports
        select pod.Metadata.Labels
            .ToDictionary(label => $"__meta_kubernetes_pod_label_{Regex.Replace(label.Key, "[^a-zA-Z0-9_]", "_")}", label => label.Value)
            .Append(KeyValuePair.Create("__meta_kubernetes_pod_container_port_name", port)).ToDictionary();

    /// <summary>False: the target is dropped.</summary>
    private static bool Apply(JsonNode rule, Dictionary<string, string> labels)
    {
        var value = string.Join(';', rule["source_labels"]!.AsArray().Select(label => labels.GetValueOrDefault(Overlay.Text(label), "")));
        var matches = Regex.IsMatch(value, $"^(?:{rule["regex"]?.ToString() ?? ".*"})$");
        switch (rule["action"]?.ToString() ?? "replace")
        {
            case "keep":
                return matches;
            case "drop":
                return !matches;
            case "replace" when rule["regex"] is null:
                labels[Overlay.Text(rule["target_label"])] = value;
                return true;
            default:
                throw new NotSupportedException($"{rule.ToJsonString()} is not evaluated here.");
        }
    }

    private static JsonNode Job(string file, string name) => YamlNodes.Read(RepositoryFiles.PathOf("deploy", "observability", file)).Single()["scrape_configs"]!.AsArray()
        .Single(job => Overlay.Text(job!["job_name"]) == name)!;
}
