using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Serilog;
using Serilog.Events;
using Serilog.Formatting.Compact;

namespace DaprOrders.ServiceDefaults.Observability;

internal static class Logging
{
    /// <summary>Time, level, message, then what it is about: stream, order, trace.</summary>
    private const string Line =
        "{Timestamp:HH:mm:ss.fff} {Level:u3} {Message:lj} {Stream:l} {OrderId:l} {TraceId}{NewLine}{Exception}";

    /// <summary>
    /// Structured logs on the console, one line each; with <c>Logging:Format=json</c> as JSON. Levels come from section <c>Serilog</c>.
    /// </summary>
    public static void AddLogging(this WebApplicationBuilder builder, string appId) =>
        builder.Services.AddSerilog(
            (_, logging) =>
            {
                logging
                    .MinimumLevel.Information()
                    .MinimumLevel.Override("Microsoft.AspNetCore", LogEventLevel.Warning)
                    .MinimumLevel.Override("System.Net.Http", LogEventLevel.Warning)
                    .MinimumLevel.Override("Dapr", LogEventLevel.Warning)
                    .Enrich.FromLogContext()
                    .Enrich.WithProperty("App", appId)
                    .ReadFrom.Configuration(builder.Configuration);
                if (builder.Configuration["Logging:Format"] == "json")
                    logging.WriteTo.Console(new RenderedCompactJsonFormatter());
                else
                    logging.WriteTo.Console(outputTemplate: Line, formatProvider: CultureInfo.InvariantCulture);
            },
            preserveStaticLogger: true);
}
