using System.Text.Json.Nodes;
using DaprOrders.Deploy.Tests.Kustomize;

namespace DaprOrders.Deploy.Tests;

/// <summary>dapr.yaml: which services there are, and how they run on one machine.</summary>
internal static class RunFile
{
    private static readonly JsonObject File = YamlNodes.Read(RepositoryFiles.PathOf("dapr.yaml")).Single();

    public static JsonObject Common { get; } = File["common"]!.AsObject();

    /// <summary>The port of each application.</summary>
    public static IReadOnlyDictionary<string, int> Ports { get; } = PortsOf("appPort");

    /// <summary>Where the sidecar of each application tells its metrics.</summary>
    public static IReadOnlyDictionary<string, int> MetricsPorts { get; } = PortsOf("metricsPort");

    private static Dictionary<string, int> PortsOf(string field) =>
        File["apps"]!.AsArray().ToDictionary(app => Overlay.Text(app!["appID"]), app => (int)app![field]!, StringComparer.Ordinal);
}
