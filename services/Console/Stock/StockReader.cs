using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Stock;

/// <summary>An open order that holds pieces.</summary>
public sealed record Hold(string OrderId, int Quantity, string Status, DateTimeOffset Since);

/// <param name="Next">Of the following page.</param>
public sealed record StockState(IReadOnlyList<Product> Products, string? Next, Failure? Failure);

/// <summary>What there is of each product, and which orders hold it.</summary>
public sealed class StockReader(ServicesClient services)
{
    private const int PerPage = 100;
    private const int MostOrders = 200;

    public async Task<StockState> ReadAsync(string? after, CancellationToken cancellationToken)
    {
        var page = await services.GetAsync<ProductPage>(
            Apps.Inventory, $"products?limit={PerPage}{(after is null ? "" : $"&after={Uri.EscapeDataString(after)}")}", cancellationToken);
        return new(page.Value?.Products ?? [], page.Value?.Next, page.Failure);
    }

    /// <summary>The open orders that hold a product, in Reporting's view of them: a moment behind Inventory's counters.</summary>
    public async Task<Answer<IReadOnlyList<Hold>>> ReadHoldsAsync(string sku, CancellationToken cancellationToken)
    {
        var pages = await Task.WhenAll(OrderStatuses.Open.Select(status => services.GetAsync<OrderPage>(Apps.Reporting, $"orders?status={status}&limit={MostOrders}", cancellationToken)));
        if (pages.Select(page => page.Failure).OfType<Failure>().FirstOrDefault() is { } failure)
            return new(null, failure);
        var holds = pages.SelectMany(page => page.Value!.Orders).Where(order => order.Reservation == "reserved")
            .SelectMany(order => order.Lines.Where(line => line.Sku == sku).Select(line => new Hold(order.OrderId, line.Quantity, order.Status, order.CreatedAt)));
        return new([.. holds.OrderBy(hold => hold.Since)], null);
    }

    /// <param name="key">The same for one delivery of goods, however often it is sent.</param>
    public Task<Answer<Product>> ReceiveAsync(string sku, int quantity, string key, CancellationToken cancellationToken) => services.SendAsync<Product>(
        HttpMethod.Post, Apps.Inventory, $"products/{Uri.EscapeDataString(sku)}/receipts", new { quantity }, cancellationToken, ("Idempotency-Key", key));
}
