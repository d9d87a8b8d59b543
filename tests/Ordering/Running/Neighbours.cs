using System.Collections.Concurrent;
using System.Net;
using DaprOrders.Ordering.CancellingOrders;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Ordering.Tests.Running;

/// <summary>Inventory and Shipping, as far as Ordering asks them: answers that a test can choose, and what was asked.</summary>
public sealed class Neighbours : IAsyncDisposable
{
    private readonly WebApplication _app;

    public Neighbours()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        _app = builder.Build();
        _app.MapPost("/products/lookup", LookUpProducts);
        _app.MapPost("/shipments/{orderId}/cancellation", CancelShipmentAsync);
        _app.MapGet("/event-log/streams/{stream}", (string stream, long after, int limit) =>
            Streams.TryGetValue(stream, out var events) ? events.Skip((int)after).Take(limit) : []);
    }

    public int Port { get; private set; }

    /// <summary>Events of the neighbours' streams, for whoever has missed some.</summary>
    public ConcurrentDictionary<string, IReadOnlyList<EventSourcing.RecordedEvent>> Streams { get; } = new();

    public ConcurrentDictionary<string, int> CancellationAnswers { get; } = new();

    public ConcurrentQueue<string> AskedForCancellation { get; } = new();

    /// <summary>By order: what happens before Shipping's answer is sent, told the customer's words.</summary>
    public ConcurrentDictionary<string, Func<string?, Task>> BeforeCancellationAnswers { get; } = new();

    public async Task StartAsync()
    {
        await _app.StartAsync();
        Port = new Uri(_app.Urls.Single()).Port;
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>tea-... and usd-... are sold, broken-... fail, everything else is unknown.</summary>
    private static IResult LookUpProducts(Lookup lookup) => lookup.Skus.Any(sku => sku.StartsWith("broken-", StringComparison.Ordinal))
        ? Results.StatusCode(StatusCodes.Status500InternalServerError)
        : Results.Ok(new { products = lookup.Skus.Select(ProductOf).OfType<object>() });

    private static object? ProductOf(string sku) => sku.Split('-')[0] switch
    {
        "tea" => Product(sku, "EUR"),
        "usd" => Product(sku, "USD"),
        _ => null,
    };

    private static object Product(string sku, string currency) => new { sku, name = "Tea", price = new { amount = 9.50m, currency }, version = 1 };

    private async Task<IResult> CancelShipmentAsync(string orderId, CancelOrderRequest? request)
    {
        AskedForCancellation.Enqueue(orderId);
        if (BeforeCancellationAnswers.TryGetValue(orderId, out var before))
            await before(request?.Reason);
        return Results.StatusCode(CancellationAnswers.GetValueOrDefault(orderId, StatusCodes.Status200OK));
    }

    private sealed record Lookup(IReadOnlyList<string> Skus);
}
