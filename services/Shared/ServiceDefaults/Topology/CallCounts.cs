using System.Globalization;
using System.Text.RegularExpressions;

namespace DaprOrders.ServiceDefaults.Topology;

/// <summary>The calls that a sidecar has counted since it started, by the name of the other side.</summary>
/// <param name="Called">Other applications and HTTPEndpoints, each attempt.</param>
/// <param name="CalledBy">Other applications.</param>
public sealed partial record CallCounts(IReadOnlyDictionary<string, long> Called, IReadOnlyDictionary<string, long> CalledBy)
{
    /// <param name="exposition">Prometheus' text format, with daprd's names (dapr pkg/diagnostics/service_monitoring.go).</param>
    /// <returns>Null where a sidecar tells nothing there.</returns>
    public static CallCounts? Read(string exposition)
    {
        var samples = Sample().Matches(exposition).Select(match => (
            Name: match.Groups["name"].Value,
            Labels: Label().Matches(match.Groups["labels"].Value).ToDictionary(label => label.Groups["name"].Value, label => label.Groups["value"].Value),
            Value: double.Parse(match.Groups["value"].Value, CultureInfo.InvariantCulture))).ToList();
        return samples.Count > 0 || exposition.Contains("\ndapr_", StringComparison.Ordinal) ? new(Sum("req_sent_total", "dst_app_id"), Sum("req_recv_total", "src_app_id")) : null;

        Dictionary<string, long> Sum(string name, string by) => samples.Where(sample => sample.Name == name)
            .GroupBy(sample => sample.Labels.GetValueOrDefault(by, ""))
            .ToDictionary(group => group.Key, group => (long)group.Sum(sample => sample.Value));
    }

    [GeneratedRegex("""^dapr_runtime_service_invocation_(?<name>\w+)\{(?<labels>[^}]*)\} (?<value>[0-9.eE+]+)""", RegexOptions.Multiline)]
    private static partial Regex Sample();

    [GeneratedRegex("(?<name>\\w+)=\"(?<value>[^\"]*)\"")]
    private static partial Regex Label();
}
