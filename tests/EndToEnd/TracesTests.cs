using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using DaprOrders.Tests.Servers;
using DaprOrders.Tests.Tracing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>What a collector gets of the real services: one order is one trace, through all of them, and every part of it has its parent.</summary>
public sealed class TracesTests
{
    private const int Orders = 3;
    private const string Settling = "settle payment";

    private static readonly string[] Topics = ["orders", "stock", "payments", "shipments"];

    [Fact]
    public async Task Given_orders_of_several_buyers_then_each_is_one_trace_whose_every_handler_is_the_child_of_what_led_to_it()
    {
        await using var collector = await Collector.StartAsync();
        var installation = new Installation();
        foreach (var app in Shop.Apps)
        {
            installation.Set(app, "OTEL_EXPORTER_OTLP_ENDPOINT", collector.Address);
            installation.Set(app, "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
            installation.Set(app, "OTEL_BSP_SCHEDULE_DELAY", "200");
            // Every event comes by its topic, however late a busy machine brings it.
            installation.Set(app, "CatchUp__Behind", "00:10:00");
        }

        await using var system = await OrdersSystem.StartAsync(installation);
        var sku = await system.Shop.StockAsync(Orders);
        var traces = Enumerable.Range(0, Orders).Select(_ => ActivityTraceId.CreateRandom().ToHexString()).ToList();

        await Task.WhenAll(traces.Select(trace => ShipAsync(system.Shop, sku, trace)));
        var spans = await Until.Async(
            () => Task.FromResult(collector.Spans), spans => traces.TrueForAll(trace => IsWhole(spans, trace)), "all spans of all orders");

        // A payment that was requested and authorized may come to Ordering in one delivery: then its first event is the parent.
        Assert.All(traces, trace => Assert.Equal(
            [
                ("ordering", "POST /orders"), ("inventory", "handle orders"), ("ordering", "handle stock"), ("payments", "handle orders"),
                ("ordering", "handle payments"), ("shipping", "handle orders"), ("ordering", "handle shipments"),
            ],
            Ancestry(spans, spans.First(span => span.TraceId == trace && IsLast(span))).Where(span => span.Name != Settling)));
        Assert.All(traces, trace => Assert.Equal(
            [("ordering", "POST /orders"), ("inventory", "handle orders"), ("ordering", "handle stock"), ("payments", "handle orders"), ("payments", Settling)],
            Ancestry(spans, Assert.Single(spans, span => span.TraceId == trace && span.Name == Settling))));

        var known = spans.Select(span => (span.TraceId, span.Id)).ToHashSet();
        var handlers = spans.Where(span => Topics.Any(topic => span.Name == $"handle {topic}")).ToList();
        Assert.All(handlers, handler => Assert.Contains(handler.TraceId, traces));
        Assert.All(handlers, handler => Assert.Contains((handler.TraceId, handler.ParentId!), known));
        // The request that delivered it, and others with it, is linked.
        var deliveries = handlers.SelectMany(handler => handler.Links.Select(link => (handler.Name, Delivery: spans.Single(span => (span.TraceId, span.Id) == link)))).ToList();
        Assert.NotEmpty(deliveries);
        Assert.All(deliveries, of => Assert.Equal(of.Name.Replace("handle ", "POST /events/", StringComparison.Ordinal), of.Delivery.Name));

        // What carries several orders belongs to none of them, and leads to each.
        var shared = spans.Where(span => (span.Name == "project" || span.Kind == "PRODUCER") && !traces.Contains(span.TraceId) && span.Links.Any(link => traces.Contains(link.TraceId))).ToList();
        Assert.All(shared, span => Assert.True(span.Links.Select(link => link.TraceId).Distinct().Count() > 1, $"{span.Name} of one trace alone stands beside it."));
        foreach (var trace in traces)
            Assert.Contains(spans, span => span.Name == "project" && (span.TraceId == trace || span.Links.Any(link => link.TraceId == trace)));
    }

    private static async Task ShipAsync(Shop shop, string sku, string trace)
    {
        using var answer = await shop.PlaceAsync(sku, 1, headers: ("traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom().ToHexString()}-01"));
        var id = (await Shop.ReadAsync(answer, HttpStatusCode.Created))["orderId"]!.GetValue<string>();
        Assert.Equal("shipped", Shop.Status(await shop.FinalAsync(id)));
    }

    private static bool IsLast(CollectedSpan span) => span is { Service: "ordering", Name: "handle shipments" };

    // A parent ends after its children, and comes later.
    private static bool IsWhole(IReadOnlyList<CollectedSpan> spans, string trace) =>
        spans.Any(span => span.TraceId == trace && IsLast(span))
        && spans.Any(span => span.TraceId == trace && span is { Service: "ordering", Kind: "SERVER", Name: "POST /orders" })
        && spans.Any(span => span.Name == "project" && (span.TraceId == trace || span.Links.Any(link => link.TraceId == trace)))
        && spans.Where(span => span.TraceId == trace && span.Kind == "CONSUMER")
            .All(span => spans.Any(parent => parent.Id == span.ParentId) && span.Links.All(link => spans.Any(linked => linked.Id == link.SpanId)));

    /// <summary>The span and those above it, the first of them first, as far as the services sent them.</summary>
    private static Stack<(string Service, string Name)> Ancestry(IReadOnlyList<CollectedSpan> spans, CollectedSpan last)
    {
        var ancestry = new Stack<(string Service, string Name)>();
        for (var span = last; span is not null; span = spans.SingleOrDefault(parent => parent.TraceId == last.TraceId && parent.Id == span.ParentId))
            ancestry.Push((span.Service, span.Name));
        return ancestry;
    }

    /// <summary>Takes spans as a collector of OpenTelemetry does, over HTTP.</summary>
    private sealed class Collector : IAsyncDisposable
    {
        private readonly ConcurrentQueue<CollectedSpan> _spans = new();
        private readonly WebApplication _app;

        private Collector()
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            Address = $"http://127.0.0.1:{FreePort.Next().ToString(CultureInfo.InvariantCulture)}";
            builder.WebHost.UseUrls(Address);
            _app = builder.Build();
            _app.MapPost("/v1/traces", TakeAsync);
            _app.MapPost("/v1/metrics", () => TypedResults.Ok());
        }

        public string Address { get; }

        public IReadOnlyList<CollectedSpan> Spans => [.. _spans];

        public static async Task<Collector> StartAsync()
        {
            var collector = new Collector();
            await collector._app.StartAsync(TestContext.Current.CancellationToken);
            return collector;
        }

        public ValueTask DisposeAsync() => _app.DisposeAsync();

        private async Task TakeAsync(HttpContext context)
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
            foreach (var span in OtlpSpans.Read(body.ToArray()))
                _spans.Enqueue(span);
        }
    }
}
