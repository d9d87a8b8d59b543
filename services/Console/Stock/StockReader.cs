using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Stock;

/// <summary>An open order that holds pieces.</summary>
public sealed record Hold(string OrderId, int Quantity, string Status, DateTimeOffset Since);

/// <param name="Holds">By SKU. Reporting's view of them, so a moment behind Inventory's counters.</param>
/// <param name="Next">Of the following page.</param>
public sealed record StockState(IReadOnlyList<Product> Products, string? Next, IReadOnlyDictionary<string, IReadOnlyList<Hold>> Holds, IReadOnlyList<Failure> Failures);

/// <summary>What there is of each product, and which orders hold it.</summary>
public sealed class StockReader(ServicesClient services)
{
    private const int PerPage = 100;
    private const int MostOrders = 200;

    public async Task<StockState> ReadAsync(string? after, CancellationToken cancellationToken)
    {
        var asked = services.GetAsync<ProductPage>(
            Apps.Inventory, $"products?limit={PerPage}{(after is null ? "" : $"&after={Uri.EscapeDataString(after)}")}", cancellationToken);
        var orders = await Task.WhenAll(OrderStatuses.Open.Select(status => services.GetAsync<OrderPage>(Apps.Reporting, $"orders?status={status}&limit={MostOrders}", cancellationToken)));
        var products = await asked;
        return new(
            products.Value?.Products ?? [],
            products.Value?.Next,
            orders.Where(page => page.IsHere).SelectMany(page => page.Value!.Orders)
                .Where(order => order.Reservation == "reserved")
                .SelectMany(order => order.Lines.Select(line => (line.Sku, Hold: new Hold(order.OrderId, line.Quantity, order.Status, order.CreatedAt))))
                .GroupBy(found => found.Sku)
                .ToDictionary(group => group.Key, group => (IReadOnlyList<Hold>)[.. group.Select(found => found.Hold).OrderBy(hold => hold.Since)]),
            [.. new[] { products.Failure, orders.Select(page => page.Failure).FirstOrDefault() }.OfType<Failure>()]);
    }

    /// <param name="key">The same for one delivery of goods, however often it is sent.</param>
    public Task<Answer<Product>> ReceiveAsync(string sku, int quantity, string key, CancellationToken cancellationToken) => services.SendAsync<Product>(
        HttpMethod.Post, Apps.Inventory, $"products/{Uri.EscapeDataString(sku)}/receipts", new { quantity }, cancellationToken, ("Idempotency-Key", key));
}
