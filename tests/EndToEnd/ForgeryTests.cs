using System.Net;
using System.Text.Json.Nodes;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>Somebody who reaches a sidecar and wants goods without paying for them.</summary>
public sealed class ForgeryTests(OrdersSystem system)
{
    private readonly Shop _shop = system.Shop;

    [Fact]
    public async Task A_payment_that_a_neighbours_sidecar_hands_over_is_refused()
    {
        using var answer = await _shop.SendThroughAsync("shipping", HttpMethod.Post, "ordering", "events/payments", Authorized("any"));

        Assert.Equal("urn:daprorders:sidecar-only", (await Shop.ReadAsync(answer, HttpStatusCode.Forbidden))["type"]!.GetValue<string>());
    }

    [Fact]
    public async Task A_payment_that_nobody_signed_pays_nothing_and_is_a_dead_letter()
    {
        // The provider never answers in time, so the order waits for its payment.
        var id = await _shop.OrderAsync(await _shop.StockAsync(1), 1, "pm_timeout");
        await Until.Async(() => _shop.OrderAsync(id), order => Shop.Status(order) == "stockReserved", "the stock to be reserved");

        using var answer = await _shop.SendAsync(HttpMethod.Post, "ordering", "events/payments", Authorized(id));

        Assert.Equal("DROP", (await Shop.ReadAsync(answer, HttpStatusCode.OK))["status"]!.GetValue<string>());
        Assert.DoesNotContain(
            (await _shop.GetAsync("ordering", $"orders/{id}/events")).AsArray(), e => e!["data"]!["chargeId"]?.GetValue<string>() == "ch-forged");
    }

    [Fact]
    public async Task Only_Ordering_stops_a_shipment()
    {
        using var answer = await _shop.SendThroughAsync("reporting", HttpMethod.Post, "shipping", "shipments/any/cancellation");

        Assert.Equal("urn:daprorders:caller-not-allowed", (await Shop.ReadAsync(answer, HttpStatusCode.Forbidden))["type"]!.GetValue<string>());
    }

    private static JsonObject Authorized(string orderId) => new()
    {
        ["specversion"] = "1.0",
        ["id"] = $"payment-{orderId}:2",
        ["source"] = "payments",
        ["type"] = "PaymentAuthorized",
        ["time"] = "2026-01-02T03:04:05Z",
        ["stream"] = $"payment-{orderId}",
        ["streamversion"] = "2",
        ["schemaversion"] = "1",
        ["data"] = new JsonObject
        {
            ["orderId"] = orderId,
            ["chargeId"] = "ch-forged",
            ["amount"] = new JsonObject { ["amount"] = 9.50m, ["currency"] = "EUR" },
        },
    };
}
