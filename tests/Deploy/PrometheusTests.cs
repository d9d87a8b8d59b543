using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DaprOrders.Deploy.Tests.Kustomize;
using k8s;
using k8s.Models;

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

    /// <summary>A service of which there is no pod has no series: nobody would hear of it.</summary>
    [Fact]
    public void An_alert_comes_of_each_of_which_there_is_none()
    {
        var rules = YamlNodes.Read(RepositoryFiles.PathOf("deploy", "observability", "alerts.yaml")).Single()["groups"]!.AsArray().SelectMany(group => group!["rules"]!.AsArray());
        var expression = Overlay.Text(rules.Single(rule => Overlay.Text(rule!["alert"]) == "ServiceDown")!["expr"]);

        Assert.Equal(
            WithMetrics.Select(app => $"services {app}").Concat(WithSidecars.Select(app => $"sidecars {app}")).Order(StringComparer.Ordinal),
            Regex.Matches(expression, """absent\(up\{job="(\w+)", app="(\w+)"\}\)""").Select(absent => $"{absent.Groups[1]} {absent.Groups[2]}").Order(StringComparer.Ordinal));
    }

    /// <summary>To find pods it lists and watches them, in each namespace that it asks.</summary>
    [Fact]
    public void On_a_cluster_its_account_may_list_the_pods_that_it_asks_and_no_more()
    {
        var objects = YamlNodes.Read(RepositoryFiles.PathOf("deploy", "observability", "prometheus-kubernetes-account.yaml"));
        var account = Single<V1ServiceAccount>(objects);
        var asked = YamlNodes.Read(RepositoryFiles.PathOf("deploy", "observability", "prometheus-kubernetes.yaml")).Single()["scrape_configs"]!.AsArray()
            .SelectMany(job => job!["kubernetes_sd_configs"]!.AsArray()).SelectMany(sd => sd!["namespaces"]!["names"]!.AsArray()).Select(Overlay.Text).Distinct().ToList();

        Assert.Equal(1 + (2 * asked.Count), objects.Count);
        Assert.All(asked, space =>
        {
            var within = objects.Where(o => Overlay.Text(o["metadata"]!["namespace"]) == space).ToList();
            var (role, binding) = (Single<V1Role>(within), Single<V1RoleBinding>(within));
            var rule = Assert.Single(role.Rules);
            Assert.Equal((role.Metadata.Name, "Role"), (binding.RoleRef.Name, binding.RoleRef.Kind));
            Assert.Equal((account.Metadata.Name, account.Metadata.NamespaceProperty), (Assert.Single(binding.Subjects).Name, binding.Subjects[0].NamespaceProperty));
            Assert.Equal("pods: get list watch", $"{string.Join(' ', rule.Resources)}: {string.Join(' ', rule.Verbs)}");
        });

        static T Single<T>(IEnumerable<JsonObject> objects) =>
            KubernetesYaml.Deserialize<T>(objects.Single(o => Overlay.Text(o["kind"]) == typeof(T).Name["V1".Length..]).ToJsonString(), strict: true);
    }

    /// <summary>A person's token in a file ends, and with it the metrics.</summary>
    [Fact]
    public void On_a_cluster_it_gets_its_tokens_itself() => Assert.NotNull(Job("prometheus-kubernetes.yaml", "services")["oauth2"]);

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
