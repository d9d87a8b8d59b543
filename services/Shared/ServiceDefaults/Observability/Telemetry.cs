using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace DaprOrders.ServiceDefaults.Observability;

internal static class Telemetry
{
    private const string OtlpEndpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    private static readonly ActivitySource Source = new("DaprOrders.Topics");

    /// <summary>
    /// Traces and metrics of requests, calls, events and the runtime; every source and meter named <c>DaprOrders.*</c>. Nothing is
    /// collected when there is nowhere to send it. Trace ids travel all the same: ASP.NET Core, HttpClient and the events carry them.
    /// </summary>
    public static void AddTelemetry(this WebApplicationBuilder builder, string appId)
    {
        if (string.IsNullOrEmpty(builder.Configuration[OtlpEndpoint]))
            return;

        builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(appId))
            .WithTracing(traces => traces
                .AddAspNetCoreInstrumentation(requests => requests.Filter = context => !context.Request.Path.StartsWithSegments("/healthz"))
                .AddHttpClientInstrumentation()
                .AddSource("DaprOrders.*")
                .AddProcessor<PathsByTemplate>()
                .AddOtlpExporter())
            .WithMetrics(metrics => metrics
                .AddAspNetCoreInstrumentation()
                .AddHttpClientInstrumentation()
                .AddMeter("System.Runtime", "DaprOrders.*")
                .AddOtlpExporter());
    }

    /// <summary>
    /// The handling of events as a part of the trace in which they were made; the delivering request becomes a link. Without a listener
    /// an unrecorded activity is started, so that what is done here still carries the trace id.
    /// </summary>
    public static Activity StartHandling(string topic, string? traceParent)
    {
        var delivery = Activity.Current;
        ActivityContext.TryParse(traceParent, null, isRemote: true, out var parent);
        var activity = Source.StartActivity(
            ActivityKind.Consumer, parent, links: delivery is null ? null : [new ActivityLink(delivery.Context)], name: $"handle {topic}");
        if (activity is not null)
            return activity;

        activity = new Activity($"handle {topic}");
        if (parent != default)
            activity.SetParentId(parent.TraceId, parent.SpanId, parent.TraceFlags);
        return activity.Start();
    }
}
