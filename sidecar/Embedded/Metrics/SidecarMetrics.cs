using System.Collections.Concurrent;
using System.Globalization;
using Grpc.Core;
using Prometheus;

namespace EmbeddedSidecar.Metrics;

/// <summary>
/// What one application's sidecar was asked and has called, counted under the names and labels of daprd's metrics (pkg/diagnostics), so that
/// what reads the one reads the other. The one that daprd does not have is <c>dapr_component_state_items</c>.
/// </summary>
internal sealed class SidecarMetrics
{
    // Of paths there may be as many as callers invent; daprd keeps them all.
    private const int MostPaths = 200;

    private readonly string _appId;
    private readonly string? _probePath;
    private readonly ConcurrentDictionary<string, bool> _paths = new();
    private readonly CollectorRegistry _registry = Prometheus.Metrics.NewCustomRegistry();
    private readonly Counter _grpcServer;
    private readonly Counter _httpServer;
    private readonly Counter _httpClient;
    private readonly Counter _healthProbes;
    private readonly Counter _state;
    private readonly Counter _stateItems;
    private readonly Counter _ingress;
    private readonly Counter _bulkIngress;
    private readonly Counter _bulkIngressEvents;
    private readonly Counter _egress;
    private readonly Counter _bulkEgress;
    private readonly Counter _bulkEgressEvents;

    /// <param name="appId">Whose sidecar it is.</param>
    /// <param name="probePath">Where the application is asked for its health, if it is.</param>
    internal SidecarMetrics(string appId, string? probePath)
    {
        (_appId, _probePath) = (appId, probePath);
        var metrics = Prometheus.Metrics.WithCustomRegistry(_registry);
        Counter Create(string name, string help, params string[] labels) => metrics.CreateCounter($"dapr_{name}", help, ["app_id", .. labels]);

        _grpcServer = Create("grpc_io_server_completed_rpcs", "Calls of the gRPC API", "grpc_server_method", "grpc_server_status");
        _httpServer = Create("http_server_request_count", "Requests to the HTTP API", "method", "path", "status");
        _httpClient = Create("http_client_completed_count", "Calls of the application, health probes apart", "method", "path", "status");
        _healthProbes = Create("http_healthprobes_completed_count", "Health probes of the application", "status");
        _state = Create("component_state_count", "Operations on a state store", "component", "operation", "success");
        _stateItems = Create("component_state_items", "Keys read or written by operations on a state store", "component", "operation");
        _ingress = Create("component_pubsub_ingress_count", "Events delivered one by one", "component", "topic", "process_status");
        _bulkIngress = Create("component_pubsub_ingress_bulk_count", "Bulk deliveries", "component", "topic");
        _bulkIngressEvents = Create("component_pubsub_ingress_bulk_event_count", "Events delivered in bulk", "component", "topic", "process_status");
        _egress = Create("component_pubsub_egress_count", "Events published one by one", "component", "topic", "success");
        _bulkEgress = Create("component_pubsub_egress_bulk_count", "Bulk publications", "component", "topic", "success");
        _bulkEgressEvents = Create("component_pubsub_egress_bulk_event_count", "Events published in bulk", "component", "topic", "success");
    }

    /// <summary>All counts in Prometheus' text format.</summary>
    internal Task WriteAsync(Stream to, CancellationToken cancellationToken) => _registry.CollectAndExportAsTextAsync(to, cancellationToken);

    internal void GrpcServed(string fullName, StatusCode status) =>
        _grpcServer.WithLabels(_appId, fullName, status == StatusCode.Cancelled ? "Canceled" : status.ToString()).Inc();

    internal void HttpServed(HttpContext context) => _httpServer.WithLabels(
        _appId, context.Request.Method, PathLabel(context.Request.Path.Value!), Number(context.Response.StatusCode)).Inc();

    internal void AppCalled(HttpRequestMessage request, int status)
    {
        var path = request.RequestUri!.AbsolutePath;
        if (path == _probePath)
            _healthProbes.WithLabels(_appId, Number(status)).Inc();
        else
            _httpClient.WithLabels(_appId, request.Method.Method, PathLabel(path), Number(status)).Inc();
    }

    /// <param name="operation">As daprd calls it: get, bulk_get, set, delete, bulk_delete, transaction.</param>
    internal void StateUsed(string component, string operation, int items, bool success)
    {
        _state.WithLabels(_appId, component, operation, Boolean(success)).Inc();
        _stateItems.WithLabels(_appId, component, operation).Inc(items);
    }

    internal void Delivered(string component, string topic, string outcome) => _ingress.WithLabels(_appId, component, topic, outcome).Inc();

    internal void DeliveredInBulk(string component, string topic) => _bulkIngress.WithLabels(_appId, component, topic).Inc();

    internal void DeliveredInBulk(string component, string topic, string outcome, int events) =>
        _bulkIngressEvents.WithLabels(_appId, component, topic, outcome).Inc(events);

    internal void Published(string component, string topic, bool success) => _egress.WithLabels(_appId, component, topic, Boolean(success)).Inc();

    internal void PublishedInBulk(string component, string topic, bool success, int published)
    {
        _bulkEgress.WithLabels(_appId, component, topic, Boolean(success)).Inc();
        if (published > 0)
            _bulkEgressEvents.WithLabels(_appId, component, topic, Boolean(true)).Inc(published);
    }

    /// <summary>
    /// Without ids, as daprd (pkg/diagnostics/http_monitoring_legacy.go); of what an application is asked by invocation only the first part, since the
    /// rest may name customers.
    /// </summary>
    internal string PathLabel(string path)
    {
        var parts = path.TrimStart('/').Split('/', 6);
        var label = parts switch
        {
            ["actors", var type, _, .. var rest] => $"actors/{type}/{{id}}/{string.Join('/', rest)}".TrimEnd('/'),
            [['v', >= '0' and <= '9', ..], "actors", var type, _, var what, ..] => $"/{parts[0]}/actors/{type}/{{id}}/{what}",
            [['v', >= '0' and <= '9', ..], var api, var name, ..] => $"/{parts[0]}/{api}/{name}",
            [['v', >= '0' and <= '9', ..], var api] => $"/{parts[0]}/{api}",
            _ => $"/{parts[0]}",
        };
        return _paths.ContainsKey(label) || (_paths.Count < MostPaths && _paths.TryAdd(label, true)) ? label : "";
    }

    private static string Boolean(bool value) => value ? "true" : "false";

    private static string Number(int status) => status.ToString(CultureInfo.InvariantCulture);
}
