using System.Text.Json.Nodes;
using k8s.Models;

namespace DaprOrders.Deploy.Tests;

/// <summary>What must get through the network of deploy/k8s gets through, and what has no business there does not.</summary>
public sealed class NetworkTests
{
    private const int SidecarToSidecar = 50002;
    private const int SidecarMetrics = 9090;
    private const string Tcp = "TCP";
    private const string Udp = "UDP";
    private const string Data = "data";

    /// <summary>The ports of the pods behind Dapr's services (charts/dapr): Sentry, the operator, placement, the scheduler.</summary>
    private static readonly int[] ControlPlane = [50001, 6500, 50005, 50006];

    private static readonly Peer Dns = Peer.Of("kube-system", ("k8s-app", "kube-dns"));

    public static TheoryData<string> Overlays => [.. Overlay.Names];

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Sidecars_reach_each_other_and_services_only_by_them(string name)
    {
        var network = new Network(Overlay.Of(name));
        Assert.All(network.Applications, from => Assert.All(network.Applications, to =>
        {
            Assert.True(network.Allows(from, to, SidecarToSidecar));
            Assert.False(network.Allows(from, to, to.Ports["http"]));
        }));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Sidecars_reach_names_the_control_plane_and_the_API_server(string name)
    {
        var network = new Network(Overlay.Of(name));
        Assert.All(network.Applications, from =>
        {
            Assert.True(network.Allows(from, Dns, 53, Udp));
            Assert.True(network.Allows(from, Dns, 53));
            Assert.True(network.Allows(from, Peer.At("169.254.20.10"), 53, Udp));
            Assert.All(ControlPlane, port => Assert.True(network.Allows(from, Peer.Of("dapr-system"), port)));
            Assert.True(network.Allows(from, Peer.At("10.0.0.1"), 443));
            Assert.True(network.Allows(from, Peer.At("10.0.0.1"), 6443));
            Assert.False(network.Allows(from, Peer.At("10.0.0.1"), 22));
            Assert.False(network.Allows(from, Peer.Of("somebody-else"), 8080));
        });
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Whoever_has_a_component_reaches_its_server(string name)
    {
        var overlay = Overlay.Of(name);
        var network = new Network(overlay);
        var servers = overlay.OfKind("Component").Where(c => Overlay.Text(c["metadata"]!["name"]) != "secretstore").Select(c => (Component: c, Servers: ServersOf(c).ToList())).ToList();

        Assert.All(servers, of => Assert.NotEmpty(of.Servers));
        Assert.All(servers, of => Assert.All(of.Component["scopes"]!.AsArray().Select(scope => network.Application(Overlay.Text(scope))), from =>
        {
            Assert.All(of.Servers, server => Assert.True(network.Allows(from, Peer.Of(server.Namespace), server.Port), $"{from.Labels["app.kubernetes.io/name"]} to {server}"));
            Assert.False(network.Allows(from, Peer.Of(Data), 22));
        }));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Payments_alone_reaches_the_payment_company(string name)
    {
        var overlay = Overlay.Of(name);
        var network = new Network(overlay);
        var endpoint = overlay.OfKind("HTTPEndpoint").Single();
        var address = new Uri(Overlay.Text(endpoint["spec"]!["baseUrl"]));
        var from = network.Application(Overlay.Text(endpoint["scopes"]!.AsArray().Single()));

        if (name != Overlay.Try)
        {
            Assert.True(network.Allows(from, Peer.At("203.0.113.7"), address.Port));
            return;
        }

        Assert.True(network.Allows(from, network.Pod(address.Host), address.Port));
        Assert.All(network.Applications.Where(other => other != from), other => Assert.False(network.Allows(other, network.Pod(address.Host), address.Port)));
    }

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Clients_monitoring_and_telemetry_by_the_label_of_their_namespace(string name)
    {
        var network = new Network(Overlay.Of(name));
        Assert.All(network.Applications, app =>
        {
            var http = app.Ports["http"];
            Assert.True(network.Allows(Labelled("clients"), app, http));
            Assert.False(network.Allows(Labelled("clients"), app, SidecarMetrics));
            Assert.True(network.Allows(Labelled("monitoring"), app, http));
            Assert.True(network.Allows(Labelled("monitoring"), app, SidecarMetrics));
            Assert.True(network.Allows(app, Labelled("telemetry"), 4317));
            Assert.False(network.Allows(Peer.Of("somebody-else"), app, http));
            Assert.All(new[] { 3500, 50001, SidecarToSidecar }, api => Assert.False(network.Allows(Labelled("clients"), app, api)));
        });

        static Peer Labelled(string as_) => Peer.Of("somewhere") with { NamespaceLabels = new Dictionary<string, string> { [$"daprorders/{as_}"] = "true" } };
    }

    /// <summary>By the address in the component or in the secret that secrets.sh is given; RabbitMQ and NATS by TLS as well.</summary>
    private static IEnumerable<(string Namespace, int Port)> ServersOf(JsonObject component)
    {
        var fields = Components.FieldsOf(component);
        return Overlay.Text(component["spec"]!["type"]) switch
        {
            "pubsub.redis" or "state.redis" => [Server(fields["redisHost"]["value ".Length..])],
            "pubsub.kafka" => fields["brokers"]["value ".Length..].Split(',').Select(Server),
            "pubsub.rabbitmq" => [Server(new Uri(SecretsScript.Servers["RABBITMQ_CONNECTION"]).Authority), (Data, 5671)],
            "pubsub.jetstream" => [Server(new Uri(SecretsScript.Servers["NATS_URL"]).Authority)],
            "state.postgresql" => [Server(SecretsScript.Servers["POSTGRESQL_CONNECTION"].Split(' ').Single(part => part.StartsWith("host=", StringComparison.Ordinal))["host=".Length..] + ":5432")],
            var type => throw new ArgumentException($"Say here where {type} has its address.", nameof(component)),
        };

        static (string, int) Server(string address) => address.Split(':') is [var host, var port] ? (host.Split('.')[1], int.Parse(port, null)) : throw new FormatException(address);
    }

    /// <summary>A pod, or an address outside.</summary>
    private sealed record Peer(string? Namespace, IReadOnlyDictionary<string, string> NamespaceLabels, IDictionary<string, string> Labels, Dictionary<string, int> Ports, string? Ip)
    {
        public static Peer Of(string space, params (string Name, string Value)[] labels) =>
            new(space, new Dictionary<string, string> { ["kubernetes.io/metadata.name"] = space }, labels.ToDictionary(label => label.Name, label => label.Value), new Dictionary<string, int>(), null);

        public static Peer At(string ip) => Of("") with { Namespace = null, Ip = ip };
    }

    /// <summary>Kubernetes' rules: who is selected by a policy of a direction is closed in it but for what its policies allow together.</summary>
    private sealed class Network(Overlay overlay)
    {
        private const string Space = "daprorders";

        private readonly List<V1NetworkPolicy> _policies = [.. overlay.All<V1NetworkPolicy>()];

        public IReadOnlyList<Peer> Applications { get; } = [.. overlay.Applications.Values.Select(app => PodOf(app.Spec.Template))];

        public Peer Application(string app) => Applications.Single(peer => peer.Labels["app.kubernetes.io/name"] == app);

        public Peer Pod(string name) => PodOf(overlay.Pods[name]);

        public bool Allows(Peer from, Peer to, int port, string protocol = Tcp) =>
            (from.Namespace != Space || PoliciesOf(from, "Egress").Any(policy => (policy.Spec.Egress ?? []).Any(rule => HasPort(rule.Ports, to, port, protocol) && HasPeer(rule.To, to))))
            && (to.Namespace != Space || PoliciesOf(to, "Ingress").Any(policy => (policy.Spec.Ingress ?? []).Any(rule => HasPort(rule.Ports, to, port, protocol) && HasPeer(rule.FromProperty, from))));

        private static Peer PodOf(V1PodTemplateSpec pod) =>
            Peer.Of(Space) with { Labels = pod.Metadata.Labels, Ports = pod.Spec.Containers.SelectMany(c => c.Ports).ToDictionary(p => p.Name, p => p.ContainerPort) };

        private static bool HasPort(IList<V1NetworkPolicyPort>? ports, Peer to, int port, string protocol) => ports is null || ports.Any(p =>
            (p.Protocol ?? Tcp) == protocol && p.EndPort is null && (p.Port is null || p.Port.Value == $"{port}" || (to.Ports.TryGetValue(p.Port.Value, out var named) && named == port)));

        private static bool HasPeer(IList<V1NetworkPolicyPeer>? peers, Peer peer) => peers is null || peers.Any(p => p.IpBlock is { } block
            ? peer.Ip is { } ip && System.Net.IPNetwork.Parse(block.Cidr).Contains(System.Net.IPAddress.Parse(ip))
            : peer.Ip is null
                && (p.NamespaceSelector is null ? peer.Namespace == Space : Matches(p.NamespaceSelector, peer.NamespaceLabels))
                && (p.PodSelector is null || Matches(p.PodSelector, peer.Labels)));

        private static bool Matches(V1LabelSelector selector, IEnumerable<KeyValuePair<string, string>> labels) => selector.MatchExpressions is null
            ? selector.MatchLabels?.All(labels.Contains) != false
            : throw new NotSupportedException("Selectors by expressions are not evaluated here.");

        private List<V1NetworkPolicy> PoliciesOf(Peer pod, string direction)
        {
            var policies = _policies.Where(policy => policy.Spec.PolicyTypes.Contains(direction) && Matches(policy.Spec.PodSelector, pod.Labels)).ToList();
            Assert.NotEmpty(policies);
            return policies;
        }
    }
}
