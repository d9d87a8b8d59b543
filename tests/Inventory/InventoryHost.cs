using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.ManagingProducts;
using DaprOrders.Inventory.Stock;
using DaprOrders.Tests;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Inventory.Tests;

/// <summary>
/// Inventory without a sidecar. What it does to a stock can be stopped before, and its answer lost after: what keeps the rules is the stream alone.
/// </summary>
public sealed class InventoryHost : IDisposable
{
    private readonly ServiceHost<Products> _service;

    /// <param name="other">A replica of it: another instance on the same state.</param>
    public InventoryHost(InventoryHost? other = null) => _service = new ServiceHost<Products>(
        services => services.AddSingleton<ApplyToStock>(provider => ApplyAsync(provider.GetRequiredService<EventStore>())),
        [new("EventStore:Instance", other is null ? "first" : "second")],
        other?.Service.State)
    {
        Documents = other?.Service.Documents ?? new(),
    };

    public ServiceHost<Products> Service => _service;

    /// <summary>How many commands each call to a stock carried.</summary>
    public System.Collections.Concurrent.ConcurrentQueue<int> Batches { get; } = new();

    /// <summary>Runs before a call takes effect; throwing keeps it from doing so.</summary>
    public Func<string, IReadOnlyList<StockCommand>, Task> BeforeCall { get; set; } = (_, _) => Task.CompletedTask;

    /// <summary>Runs after a call took effect; throwing loses its answer.</summary>
    public Func<string, IReadOnlyList<StockCommand>, Task> AfterCall { get; set; } = (_, _) => Task.CompletedTask;

    public async Task ListAsync(string sku, int quantity)
    {
        var (status, _) = await _service.SendAsync(HttpMethod.Put, $"/products/{sku}", Json(new { name = sku, price = new { amount = 9.50m, currency = "EUR" } }));
        Assert.Equal(201, status);
        if (quantity > 0)
        {
            Assert.Equal(200, (await _service.PostAsync($"/products/{sku}/receipts", new { quantity })).Status);
        }
    }

    public async Task<(long OnHand, long Reserved, long Available)> StockAsync(string sku)
    {
        var product = (await _service.GetAsync($"/products/{sku}")).Body;
        return (product.GetProperty("onHand").GetInt64(), product.GetProperty("reserved").GetInt64(), product.GetProperty("available").GetInt64());
    }

    /// <summary>The status of an order's reservation; none when nothing is decided.</summary>
    public async Task<string> ReservationAsync(OrderStream order)
    {
        var (status, reservation) = await _service.GetAsync($"/reservations/{order.OrderId}");
        return status == 200 ? reservation.GetProperty("status").GetString()! : "none";
    }

    public static HttpContent Json(object body) => new StringContent(JsonSerializer.Serialize(body), null, "application/json");

    public void Dispose() => _service.Dispose();

    private ApplyToStock ApplyAsync(EventStore store) => async (sku, commands, cancellationToken) =>
    {
        Batches.Enqueue(commands.Length);
        await BeforeCall(sku, commands);
        var answers = await StockItems.ApplyAsync(store, sku, commands, cancellationToken);
        await AfterCall(sku, commands);
        return answers;
    };
}
