using DaprOrders.ServiceDefaults.Observability;

namespace DaprOrders.ServiceDefaults.Topology;

/// <summary>The calls that a sidecar has counted since it started, by the name of the other side.</summary>
/// <param name="Called">Other applications and HTTPEndpoints, each attempt.</param>
/// <param name="CalledBy">Other applications.</param>
public sealed record CallCounts(IReadOnlyDictionary<string, long> Called, IReadOnlyDictionary<string, long> CalledBy)
{
    private const string Family = "dapr_runtime_service_invocation_";

    /// <param name="exposition">Prometheus' text format, with daprd's names (dapr pkg/diagnostics/service_monitoring.go).</param>
    /// <returns>Null where a sidecar tells nothing there.</returns>
    public static CallCounts? Read(string exposition)
    {
        var samples = PrometheusText.Read(exposition, Family).ToList();
        return samples.Count > 0 || exposition.Contains("\ndapr_", StringComparison.Ordinal) ? new(Sum("req_sent_total", "dst_app_id"), Sum("req_recv_total", "src_app_id")) : null;

        Dictionary<string, long> Sum(string name, string by) => samples.Where(sample => sample.Name == $"{Family}{name}")
            .GroupBy(sample => sample.Labels.GetValueOrDefault(by, ""))
            .ToDictionary(group => group.Key, group => (long)group.Sum(sample => sample.Value));
    }
}
