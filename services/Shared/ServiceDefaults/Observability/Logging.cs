using System.Globalization;
using System.Text.Json;
using DaprOrders.EventSourcing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Configuration;
using Serilog;
using Serilog.Context;
using Serilog.Core;
using Serilog.Core.Enrichers;
using Serilog.Events;
using Serilog.Formatting.Compact;

namespace DaprOrders.ServiceDefaults.Observability;

internal static class Logging
{
    private const string OrderId = "OrderId";

    /// <summary>Time, level, message, then what it is about: stream, order, trace.</summary>
    private const string Line =
        "{Timestamp:HH:mm:ss.fff} {Level:u3} {Message:lj} {Stream:l} {OrderId:l} {TraceId}{NewLine}{Exception}";

    /// <summary>
    /// Structured logs on the console, one line each; with <c>Logging:Format=json</c> as JSON. Levels come from section <c>Serilog</c>.
    /// </summary>
    public static void AddLogging(this WebApplicationBuilder builder, string appId) => builder.Services.AddSerilog(
        (_, logging) =>
        {
            Configure(logging, builder.Configuration, appId);
            if (builder.Configuration["Logging:Format"] == "json")
                logging.WriteTo.Console(new RenderedCompactJsonFormatter());
            else
                logging.WriteTo.Console(outputTemplate: Line, formatProvider: CultureInfo.InvariantCulture);
        },
        preserveStaticLogger: true);

    /// <summary>What is logged, wherever it goes.</summary>
    internal static LoggerConfiguration Configure(LoggerConfiguration logging, IConfiguration configuration, string appId) => logging
        .MinimumLevel.Information()
        .MinimumLevel.Override("Microsoft.AspNetCore", LogEventLevel.Warning)
        .MinimumLevel.Override("System.Net.Http", LogEventLevel.Warning)
        .MinimumLevel.Override("Dapr", LogEventLevel.Warning)
        // A check that fails is told to who asks, which is daprd once a second: a service that only waits for its sidecar has no error to log.
        .MinimumLevel.Override("Microsoft.Extensions.Diagnostics.HealthChecks", LogEventLevel.Fatal)
        .Enrich.FromLogContext()
        .Enrich.With<WithoutRequestPath>()
        .Enrich.WithProperty("App", appId)
        .ReadFrom.Configuration(configuration);

    /// <summary>Whatever is logged for a request about one order carries the order's id.</summary>
    public static void UseOrderIdInLogs(this WebApplication app) => app.Use(async (context, next) =>
    {
        if (context.GetRouteValue("orderId") is not string orderId)
        {
            await next(context);
            return;
        }

        using (LogContext.PushProperty(OrderId, orderId))
            await next(context);
    });

    /// <summary>Whatever is logged for events of one stream carries the stream, and the order's id where they tell it.</summary>
    public static IDisposable Handling(RecordedEvent first)
    {
        var stream = new PropertyEnricher("Stream", first.Stream);
        return first.Data.ValueKind == JsonValueKind.Object
            && first.Data.TryGetProperty("orderId", out var orderId)
            && orderId.ValueKind == JsonValueKind.String
            ? LogContext.Push(stream, new PropertyEnricher(OrderId, orderId.GetString()))
            : LogContext.Push(stream);
    }
}

/// <summary>ASP.NET Core gives every line of a request its path, and that may name a customer. The trace leads to the request.</summary>
internal sealed class WithoutRequestPath : ILogEventEnricher
{
    public void Enrich(LogEvent logEvent, ILogEventPropertyFactory propertyFactory) => logEvent.RemovePropertyIfPresent("RequestPath");
}
