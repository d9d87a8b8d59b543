using System.Collections.Frozen;
using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace DaprOrders.ServiceDefaults.Observability;

internal static class Telemetry
{
    private const string OtlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    private static readonly FrozenSet<string> BesideDurations = FrozenSet.ToFrozenSet(
        ["http.server.active_requests", "http.client.active_requests", "http.client.open_connections", "http.client.request.time_in_queue"]);

    private static readonly ActivitySource Source = new("DaprOrders.Topics");

    /// <summary>
    /// Metrics of requests, calls, events and the runtime, every meter named <c>DaprOrders.*</c>: for GET /metrics, unless <c>Metrics:Prometheus</c> is false,
    /// and for OTEL_EXPORTER_OTLP_ENDPOINT, where it is set. Traces only there: spans that nobody reads are not made. Trace ids travel all the same:
    /// ASP.NET Core, HttpClient and the events carry them.
    /// </summary>
    public static void AddTelemetry(this WebApplicationBuilder builder, string appId)
    {
        var (isSent, isScraped) = (!string.IsNullOrEmpty(builder.Configuration[OtlpEndpoint]), IsScraped(builder.Configuration));
        if (!isSent && !isScraped)
            return;

        var telemetry = builder.Services.AddOpenTelemetry().ConfigureResource(resource => resource.AddService(appId));
        telemetry.WithMetrics(metrics =>
        {
            metrics.AddMeter("Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Net.Http", "System.Runtime", "DaprOrders.*");
            // Of each request and call its duration is enough: what counts the same ones up and down again, and the buffers' own, cost as much as it does.
            metrics.AddView(instrument => BesideDurations.Contains(instrument.Name) ? MetricStreamConfiguration.Drop : null);
            if (isSent)
                metrics.AddOtlpExporter();
            if (isScraped)
                metrics.AddPrometheusExporter();
        });
        if (isSent)
        {
            telemetry.WithTracing(traces => traces
                .AddAspNetCoreInstrumentation(requests => requests.Filter = context => !IsOfNoOrder(context.Request.Path))
                .AddHttpClientInstrumentation()
                .AddSource("DaprOrders.*")
                .AddProcessor<PathsByTemplate>()
                .AddOtlpExporter());
        }
    }

    /// <summary>GET /metrics, for Prometheus. Where people sign in it is for operators, as every route that names no policy.</summary>
    public static void MapMetrics(this WebApplication app)
    {
        if (IsScraped(app.Configuration))
            app.MapPrometheusScrapingEndpoint().DisableHttpMetrics();
    }

    private static bool IsScraped(IConfiguration configuration) => configuration.GetValue("Metrics:Prometheus", defaultValue: true);

    private static bool IsOfNoOrder(PathString path) => path.StartsWithSegments("/healthz") || path.StartsWithSegments("/metrics");

    /// <summary>
    /// The handling of events as a part of the trace in which they were made; the delivering request becomes a link. Without a listener
    /// an unrecorded activity is started, so that what is done here still carries the trace id.
    /// </summary>
    public static Activity StartHandling(string topic, string? traceParent)
    {
        var delivery = Activity.Current;
        ActivityContext.TryParse(traceParent, null, isRemote: true, out var parent);
        if (Source.HasListeners() && Source.StartActivity(
            ActivityKind.Consumer, parent, links: delivery is null ? null : [new ActivityLink(delivery.Context)], name: $"handle {topic}") is { } listened)
        {
            return listened;
        }

        var activity = new Activity($"handle {topic}");
        if (parent != default)
            activity.SetParentId(parent.TraceId, parent.SpanId, parent.TraceFlags);
        return activity.Start();
    }
}
