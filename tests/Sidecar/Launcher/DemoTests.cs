using System.Collections.Concurrent;
using DaprOrders.Sidecar.Launcher;
using DaprOrders.Tests.Servers;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>The demo against a shop that answers like Ordering and Inventory, and takes each order one step further with every look at it.</summary>
public sealed class DemoTests : IAsyncDisposable
{
    private readonly Workspace _workspace = new();
    private readonly ConcurrentDictionary<string, (string Kind, int Looks)> _orders = new();
    private readonly ConcurrentBag<string> _seeded = [];
    private readonly WebApplication _shop;
    private string _paidEnds = "shipped";

    public DemoTests()
    {
        var (ordering, inventory) = (FreePort.Next(), FreePort.Next());
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls($"http://127.0.0.1:{ordering}", $"http://127.0.0.1:{inventory}");
        _shop = builder.Build();
        _shop.MapPut("/v1.0/invoke/inventory/method/products/{sku}", (string sku) => Seeded($"product {sku}"));
        _shop.MapPost("/v1.0/invoke/inventory/method/products/{sku}/receipts", (string sku, HttpRequest request) => Seeded($"receipt {sku} {request.Headers["Idempotency-Key"].Count}"));
        _shop.MapPost("/v1.0/invoke/ordering/method/orders", async (HttpRequest request) => Results.Created("", Place(await request.ReadFromJsonAsync<NewOrder>())));
        _shop.MapGet("/v1.0/invoke/ordering/method/orders/{id}", Look);
        _shop.MapGet("/v1.0/invoke/ordering/method/orders/{id}/events", (string id) => new[]
        {
            new { version = 1, type = "OrderCreated", occurredAt = DateTimeOffset.UnixEpoch },
            new { version = 2, type = $"The end of {_orders[id].Kind}", occurredAt = DateTimeOffset.UnixEpoch.AddMilliseconds(42) },
        });
        _workspace.WithApps($"- {{appID: ordering, appDirPath: one, daprHTTPPort: {ordering}}}\n- {{appID: inventory, appDirPath: two, daprHTTPPort: {inventory}}}\n");
    }

    public async ValueTask DisposeAsync()
    {
        await _shop.DisposeAsync();
        _workspace.Dispose();
    }

    [Fact]
    public async Task It_shows_how_an_order_of_every_kind_travelled_and_how_long_one_takes_on_an_idle_system()
    {
        Assert.Equal(0, await RunAsync());

        Assert.Equal(["product demo-rare", "product demo-tea", "receipt demo-tea 1"], _seeded.Order(StringComparer.Ordinal));
        Assert.Matches("paid: order .* is shipped after ", _workspace.Shown);
        Assert.Matches(@"payment declined: order .* is cancelled \(paymentDeclined\) after ", _workspace.Shown);
        Assert.Matches(@"out of stock: order .* is cancelled \(outOfStock\) after ", _workspace.Shown);
        Assert.Matches(@"\+\s+42 ms  2  The end of pm_card_declined demo-tea", _workspace.Shown);
        Assert.Matches(@"POST to shipped, idle system:  \d+ ms \(median of 5\)", _workspace.Shown);
    }

    [Fact]
    public async Task An_order_that_ends_otherwise_than_expected_fails_the_demo()
    {
        _paidEnds = "cancelled";

        Assert.Equal(1, await RunAsync());

        Assert.Contains("The order \"paid\" was expected to end as shipped, and is cancelled", _workspace.Shown, StringComparison.Ordinal);
    }

    private async Task<int> RunAsync()
    {
        await _shop.StartAsync(TestContext.Current.CancellationToken);
        // A launcher runs already: the demo uses what it has started.
        using var record = ProcessRecord.TryOpen(_workspace.PathOf(".dapr"));
        return await DemoCommand.RunAsync(new LaunchOptions { RunFile = _workspace.RunFile }, _workspace.Console, TestContext.Current.CancellationToken);
    }

    private IResult Seeded(string what)
    {
        _seeded.Add(what);
        return Results.Ok();
    }

    private object Place(NewOrder? order)
    {
        var id = Guid.NewGuid().ToString("N");
        _orders[id] = ($"{order!.PaymentMethod} {order.Lines[0].Sku}", 0);
        return new { orderId = id, status = "created" };
    }

    private object Look(string id)
    {
        var (kind, looks) = _orders[id];
        _orders[id] = (kind, looks + 1);
        return (kind, looks) switch
        {
            (_, 0) => new { orderId = id, status = "created" },
            ("pm_card_ok demo-tea", _) => new { orderId = id, status = _paidEnds },
            ("pm_card_ok demo-rare", _) => new { orderId = id, status = "cancelled", cancellation = new { reason = "outOfStock" } },
            _ => new { orderId = id, status = "cancelled", cancellation = new { reason = "paymentDeclined" } },
        };
    }

    private sealed record NewOrder(string PaymentMethod, List<Line> Lines);

    private sealed record Line(string Sku);
}
