using System.Net;
using System.Text.Json.Nodes;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>
/// Not one message ever arrives: every subscription is dead from the start. What the event logs hold carries every order to its end, so the loss of
/// any event of any topic heals (docs/ordering.md): PaymentAuthorized and ShipmentDispatched among them.
/// </summary>
public sealed class DeadTopicsTests
{
    private const int Stock = 5;

    [Fact]
    public async Task Given_no_topic_brings_anything_then_every_order_ends_right_nevertheless()
    {
        var installation = new Installation();
        var deliveries = new List<LossyDelivery>();
        try
        {
            foreach (var app in Shop.Apps)
            {
                var delivery = LossyDelivery.Start(installation.PortOf(app, "appPort"), seed: deliveries.Count, losesAll: true);
                installation.StandBefore(app, delivery.Port);
                installation.Set(app, "CatchUp__Behind", "00:00:01");
                deliveries.Add(delivery);
            }

            await using var system = new OrdersSystem(installation);
            await system.InitializeAsync();
            var sku = await system.Shop.StockAsync(Stock);
            var shipped = await system.Shop.OrderAsync(sku, 1);
            var declined = await system.Shop.OrderAsync(sku, 1, "pm_card_declined");
            var tooMany = await system.Shop.OrderAsync(sku, Stock + 1);

            Assert.Equal("shipped", Shop.Status(await system.Shop.FinalAsync(shipped)));
            Assert.Equal("cancelled", Shop.Status(await system.Shop.FinalAsync(declined)));
            Assert.Equal("cancelled", Shop.Status(await system.Shop.FinalAsync(tooMany)));
            // Each step says that no topic brought what led to it; the first, and the provider's answer, were nobody's to bring.
            Assert.Equal(
                [("OrderCreated", null), ("OrderStockReserved", "catchUp"), ("OrderPaid", "catchUp"), ("OrderShipped", "catchUp")],
                HowItCame(await system.Shop.GetAsync("ordering", $"orders/{shipped}/events")));
            Assert.Equal(
                [("PaymentRequested", "catchUp"), ("PaymentDeclined", null)],
                HowItCame((await system.Shop.GetAsync("payments", $"payments/{declined}"))["history"]!));
            Assert.Equal(
                [("StockRejected", "catchUp")],
                HowItCame(await ReservationAsync(system.Shop, tooMany)));
            await system.AuditAsync([shipped, declined, tooMany], new Dictionary<string, int> { [sku] = Stock });
            Assert.All(deliveries, delivery => Assert.True(delivery.Lost > 0, "a service of which nothing was lost"));
        }
        finally
        {
            foreach (var delivery in deliveries)
                await delivery.DisposeAsync();
        }
    }

    // A log is for callers with a name.
    private static async Task<JsonNode> ReservationAsync(Shop shop, string order)
    {
        using var answer = await shop.SendThroughAsync("ordering", HttpMethod.Get, "inventory", $"event-log/streams/reservation-{order}");
        return await Shop.ReadAsync(answer, HttpStatusCode.OK);
    }

    private static IReadOnlyList<(string? Type, string? FoundBy)> HowItCame(JsonNode events) =>
        [.. events.AsArray().Select(e => ((string?)e!["type"], (string?)e["foundBy"]))];
}
