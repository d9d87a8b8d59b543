using System.Collections.Concurrent;
using System.Diagnostics;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.State;
using DaprOrders.ServiceDefaults.Observability;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Trace;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace DaprOrders.ServiceDefaults.Tests.Observability;

/// <summary>Neither logs nor telemetry say which customer it was.</summary>
public sealed class CustomersAreNobodysBusinessTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Spans_of_requests_and_calls_have_the_route_and_no_id()
    {
        var spans = new ConcurrentQueue<Activity>();
        await using var app = await StartAsync(
            builder => builder.Services.ConfigureOpenTelemetryTracerProvider(traces => traces.AddInMemoryExporter(new Collected(spans))),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"));
        var own = new Uri(app.Urls.First());
        app.Services.GetRequiredService<TracerProvider>();

        using var http = new HttpClient { BaseAddress = own };
        foreach (var path in new[] { "customers/c-4711/letters?after=c-4711", "customers/c-4711/nowhere", "v1.0/invoke/post/method/customers/c-4711" })
            using (await http.GetAsync(new Uri(path, UriKind.Relative), Cancellation)) { }
        app.Services.GetRequiredService<TracerProvider>().ForceFlush();

        var ofThis = spans.Where(span => span.TagObjects.Any(tag => $"{tag.Value}" == $"{own.Port}")).ToList();
        Assert.Contains(ofThis, span => span.Kind == ActivityKind.Server && Equals(span.GetTagItem("url.path"), "/customers/{customerId}/letters"));
        Assert.Contains(ofThis, span => span.Kind == ActivityKind.Server && Equals(span.GetTagItem("url.path"), "(no route)"));
        Assert.Contains(ofThis, span => span.Kind == ActivityKind.Client && Equals(span.GetTagItem("url.full"), $"{own}customers/..."));
        Assert.Contains(ofThis, span => span.Kind == ActivityKind.Client && Equals(span.GetTagItem("url.full"), $"{own}v1.0/invoke/post/method/customers/..."));
        Assert.All(ofThis, span =>
        {
            Assert.DoesNotContain("4711", span.DisplayName, StringComparison.Ordinal);
            Assert.All(span.TagObjects, tag => Assert.DoesNotContain("4711", $"{tag.Value}", StringComparison.Ordinal));
        });
    }

    [Fact]
    public async Task Log_lines_of_a_request_have_no_path()
    {
        var lines = new ConcurrentQueue<LogEvent>();
        await using var app = await StartAsync(
            builder => builder.Services.AddSerilog(
                (_, logging) => Logging.Configure(logging, builder.Configuration, "letters").WriteTo.Sink(new Lines(lines)), preserveStaticLogger: true));

        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        using (await http.GetAsync(new Uri("customers/c-4711/letters", UriKind.Relative), Cancellation)) { }

        Assert.Contains(lines, line => line.MessageTemplate.Text == "Letters were read" && line.Properties.ContainsKey("RequestId"));
        Assert.All(lines, line => Assert.All(line.Properties, property => Assert.DoesNotContain("4711", property.Value.ToString(), StringComparison.Ordinal)));
    }

    private static async Task<WebApplication> StartAsync(Action<WebApplicationBuilder> configure, params (string Key, string Value)[] settings)
    {
        var builder = WebApplication.CreateBuilder();
        builder.Configuration["APP_PORT"] = "0";
        foreach (var (key, value) in settings)
            builder.Configuration[key] = value;
        builder.AddServiceDefaults("letters");
        builder.Services.AddSingleton(new EventTypes());
        var state = new StateInMemory();
        builder.Services.AddSingleton(state.Client);
        builder.Services.AddSingleton<IBulkStateReads>(state);
        builder.Services.AddSingleton<IPublisherLogs>(new PublisherLog());
        builder.Services.AddSingleton<PublisherLanes>();
        configure(builder);

        var app = builder.Build();
        app.MapServiceDefaults();
        app.MapGet("/customers/{customerId}/letters", (ILogger<CustomersAreNobodysBusinessTests> logger) =>
        {
            logger.LogInformation("Letters were read");
            return TypedResults.Ok();
        });
        await app.StartAsync(Cancellation);
        return app;
    }

    private sealed class Lines(ConcurrentQueue<LogEvent> lines) : ILogEventSink
    {
        public void Emit(LogEvent logEvent) => lines.Enqueue(logEvent);
    }

    /// <summary>The exporter adds from any thread.</summary>
    private sealed class Collected(ConcurrentQueue<Activity> spans) : System.Collections.ObjectModel.Collection<Activity>
    {
        protected override void InsertItem(int index, Activity item) => spans.Enqueue(item);
    }
}
