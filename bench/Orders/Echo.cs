using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Bench.Orders;

/// <summary>
/// The baseline: a bare Kestrel endpoint <c>POST /orders</c> that reads the order, keeps nothing, and answers 201 with the same JSON as
/// Ordering.
/// </summary>
internal static class Echo
{
    private static readonly Money Price = new(9.5m, "EUR");

    public static WebApplication Build(int port)
    {
        // Not the folder it is started in: that one is watched for settings, and the system under load writes its files there.
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port));
        builder.Services.ConfigureHttpJsonOptions(options => options.SerializerOptions.TypeInfoResolverChain.Insert(0, EchoJson.Default));
        var app = builder.Build();
        app.MapPost("/orders", Answer);
        return app;
    }

    private static Created<Order> Answer(PlacedOrder placed, HttpResponse response)
    {
        var now = DateTimeOffset.UtcNow;
        var lines = placed.Lines.Select(line => new OrderLine(line.Sku, "Tea", line.Quantity, Price)).ToArray();
        var order = new Order(
            Guid.CreateVersion7().ToString("N", CultureInfo.InvariantCulture), placed.CustomerId, "created", 1,
            new Money(lines.Sum(line => line.Quantity * line.UnitPrice.Amount), Price.Currency), lines, null, null, now, now);
        response.Headers.ETag = "\"1\"";
        return TypedResults.Created($"/orders/{order.OrderId}", order);
    }
}

internal sealed record PlacedOrder(string CustomerId, string PaymentMethod, IReadOnlyList<PlacedLine> Lines);

internal sealed record PlacedLine(string Sku, int Quantity);

internal sealed record Money(decimal Amount, string Currency);

internal sealed record OrderLine(string Sku, string Name, int Quantity, Money UnitPrice);

internal sealed record Shipment(string TrackingNumber, DateTimeOffset At);

internal sealed record Order(
    string OrderId,
    string CustomerId,
    string Status,
    long Version,
    Money Total,
    IReadOnlyList<OrderLine> Lines,
    JsonElement? Cancellation,
    Shipment? Shipment,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt);

internal sealed record Summary(long Orders, IReadOnlyDictionary<string, long> ByStatus)
{
    public long Of(string status) => ByStatus.GetValueOrDefault(status);

    public long Final => Of("shipped") + Of("cancelled");
}

internal sealed record ProjectionVersion(long Version, long Events);

internal sealed record ProjectionState(ProjectionVersion Serving, ProjectionVersion? Building);

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, NumberHandling = JsonNumberHandling.Strict)]
[JsonSerializable(typeof(PlacedOrder))]
[JsonSerializable(typeof(Order))]
[JsonSerializable(typeof(Summary))]
[JsonSerializable(typeof(ProjectionState))]
internal sealed partial class EchoJson : JsonSerializerContext;
