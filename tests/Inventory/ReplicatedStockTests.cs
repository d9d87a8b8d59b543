using System.Text.Json;
using DaprOrders.Tests;

namespace DaprOrders.Inventory.Tests;

/// <summary>The stock of a SKU, written by two replicas, with real sidecars.</summary>
public sealed class ReplicatedStockTests
{
    [Fact]
    public async Task Many_orders_at_once_for_one_sku_never_oversell_it()
    {
        const int Received = 60;
        await using var inventory = await RunningInventory.StartAsync(replicas: 2);
        await inventory.SendAsync(HttpMethod.Put, "/products/tea", new { name = "Tea", price = new { amount = 9.50m, currency = "EUR" } });
        await inventory.SendAsync(HttpMethod.Post, "/products/tea/receipts", new { quantity = Received });
        OrderStream[] orders = [.. Enumerable.Range(0, 100).Select(_ => new OrderStream().Created(("tea", 1)))];

        // Every message reaches both replicas, in deliveries that are at work at the same time.
        await Task.WhenAll(inventory.Replicas.SelectMany(replica => orders.Chunk(5).Select(chunk =>
            RunningInventory.DeliverAsync(replica, [.. chunk.Select(order => (order, 1))]))));

        var outcomes = new List<string?>();
        foreach (var order in orders)
            outcomes.Add((await inventory.GetAsync($"/reservations/{order.OrderId}")).GetProperty("status").GetString());
        Assert.Equal(Received, outcomes.Count(outcome => outcome == "reserved"));
        Assert.Equal(orders.Length - Received, outcomes.Count(outcome => outcome == "rejected"));
        Assert.Equal((Received, Received, 0), Stock(await inventory.GetAsync("/products/tea")));

        // Half of those that got theirs are shipped, the others are cancelled.
        var reserved = orders.Where((_, index) => outcomes[index] == "reserved").ToList();
        var over = reserved.Select((order, index) => index % 2 == 0
            ? (order.StockReserved().Paid().Shipped(), 4)
            : (order.StockReserved().Cancelled(), 3)).ToList();
        await Task.WhenAll(over.Chunk(5).Select((chunk, index) => RunningInventory.DeliverAsync(inventory.Replicas[index % 2], chunk)));

        Assert.Equal((Received / 2, 0, Received / 2), Stock(await inventory.GetAsync("/products/tea")));
    }

    private static (int OnHand, int Reserved, int Available) Stock(JsonElement product) =>
        (product.GetProperty("onHand").GetInt32(), product.GetProperty("reserved").GetInt32(), product.GetProperty("available").GetInt32());
}
