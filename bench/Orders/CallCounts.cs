using System.Globalization;
using System.Text;
using DaprOrders.ServiceDefaults.Observability;

namespace DaprOrders.Bench.Orders;

/// <summary>
/// The calls of applications to their sidecars, and the deliveries of sidecars to their applications, by application and kind: read from what
/// sidecars tell at their metrics ports, under daprd's names, so of an embedded sidecar and of a daprd alike.
/// </summary>
internal sealed class CallCounts
{
    /// <summary>That Ordering publishes until an order is shipped.</summary>
    public const int EventsOfAnOrder = 4;

    private const string Deliveries = "deliveries";

    private readonly Dictionary<(string App, string Kind), double> _counts;

    private CallCounts(Dictionary<(string App, string Kind), double> counts, double eventsPublished) => (_counts, EventsPublished) = (counts, eventsPublished);

    /// <summary>On all topics.</summary>
    public double EventsPublished { get; }

    /// <summary>All calls and deliveries.</summary>
    public double Total => _counts.Values.Sum();

    public IEnumerable<string> Apps => _counts.Keys.Select(key => key.App).Distinct();

    public double Of(string app) => _counts.Where(count => count.Key.App == app).Sum(count => count.Value);

    public double Of(string app, string kind) => _counts.GetValueOrDefault((app, kind));

    /// <param name="metrics">The metrics port of each sidecar.</param>
    public static async Task<CallCounts> ReadAsync(HttpClient http, IEnumerable<Uri> metrics, CancellationToken cancellationToken)
    {
        var counts = new Dictionary<(string App, string Kind), double>();
        var published = 0.0;
        foreach (var text in await Task.WhenAll(metrics.Select(address => http.GetStringAsync(address, cancellationToken))))
        {
            foreach (var (name, labels, value) in PrometheusText.Read(text, "dapr_"))
            {
                if (KindOf(name, labels) is { } kind)
                    counts[(labels["app_id"], kind)] = counts.GetValueOrDefault((labels["app_id"], kind)) + value;
                else if (name is "dapr_component_pubsub_egress_bulk_event_count" or "dapr_component_pubsub_egress_count")
                    published += value;
            }
        }

        return new CallCounts(counts, published);
    }

    /// <summary>What came between, without what comes of itself in that time.</summary>
    /// <param name="idle">What came in a time of rest.</param>
    /// <param name="times">How many such times are between.</param>
    public CallCounts Since(CallCounts before, CallCounts? idle = null, double times = 0) => new(
        _counts.ToDictionary(
            count => count.Key,
            count => count.Value - before._counts.GetValueOrDefault(count.Key) - (times * (idle?._counts.GetValueOrDefault(count.Key) ?? 0))),
        EventsPublished - before.EventsPublished);

    /// <summary>A table in Markdown: applications down, kinds across, each count by the number of orders.</summary>
    public string Table(int orders)
    {
        string[] kinds = [.. _counts.GroupBy(count => count.Key.Kind).OrderByDescending(kind => kind.Sum(count => count.Value)).Select(kind => kind.Key)];
        var table = new StringBuilder();
        table.AppendJoin(" | ", ["| an order", .. kinds, "in all |"]).AppendLine();
        table.AppendLine($"| :-- |{string.Concat(Enumerable.Repeat(" --: |", kinds.Length + 1))}");
        foreach (var app in Apps.OrderByDescending(Of))
            table.AppendJoin(" | ", [$"| {app}", .. kinds.Select(kind => Figure(Of(app, kind) / orders)), $"{Figure(Of(app) / orders)} |"]).AppendLine();
        table.AppendJoin(" | ", ["| in all", .. kinds.Select(kind => Figure(Apps.Sum(app => Of(app, kind)) / orders)), $"{Figure(Total / orders)} |"]);
        return table.ToString();
    }

    private static string Figure(double value) => Math.Abs(value) < 0.005 ? "" : value.ToString("0.00", CultureInfo.InvariantCulture);

    private static string? KindOf(string name, IReadOnlyDictionary<string, string> labels) => name switch
    {
        "dapr_grpc_io_server_completed_rpcs" => labels["grpc_server_method"].Split('/')[^1],
        "dapr_http_server_request_count" => KindOfPath(labels.GetValueOrDefault("path", "")),
        "dapr_component_pubsub_ingress_bulk_count" or "dapr_component_pubsub_ingress_count" => Deliveries,
        _ => null,
    };

    private static string? KindOfPath(string path) => path.Split('/') switch
    {
        ["", _, "healthz", ..] => null,
        ["", _, "invoke", var app, ..] => $"invoke {app}",
        ["", _, "actors", var type, ..] => type,
        ["", _, var api, ..] => $"HTTP {api}",
        _ => "HTTP",
    };
}
