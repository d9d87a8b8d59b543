using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Stock;

/// <summary>An open order that holds pieces.</summary>
public sealed record Hold(string OrderId, int Quantity, string Status, DateTimeOffset Since);

/// <summary>Those among some of the open orders that hold a product.</summary>
/// <param name="LookedThrough">How many open orders this page is of.</param>
/// <param name="Open">How many there are; null where all are on this page, or nobody says.</param>
/// <param name="Next">Where the page of older orders begins, by status; null: there are none.</param>
public sealed record HoldPage(IReadOnlyList<Hold> Holds, int LookedThrough, long? Open, IReadOnlyDictionary<string, string>? Next)
{
    public long Pieces => Holds.Sum(hold => (long)hold.Quantity);
}

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
    /// <param name="from">As the page before says it; null: from the newest on.</param>
    public async Task<Answer<HoldPage>> ReadHoldsAsync(string sku, IReadOnlyDictionary<string, string>? from, CancellationToken cancellationToken)
    {
        var statuses = OrderStatuses.Open.Where(status => from is null || from.ContainsKey(status));
        var pages = await Task.WhenAll(statuses.Select(async status => (status, Read: await services.GetAsync<OrderPage>(
            Apps.Reporting, $"orders?status={status}&limit={MostOrders}{ServicesClient.From(from?[status])}", cancellationToken))));
        if (pages.Select(page => page.Read.Failure).OfType<Failure>().FirstOrDefault() is { } failure)
            return new(null, failure);
        var holds = pages.SelectMany(page => page.Read.Value!.Orders).Where(order => order.Reservation == "reserved")
            .SelectMany(order => order.Lines.Where(line => line.Sku == sku).Select(line => new Hold(order.OrderId, line.Quantity, order.Status, order.CreatedAt)));
        var next = pages.Where(page => page.Read.Value!.Cursor is not null).ToDictionary(page => page.status, page => page.Read.Value!.Cursor!);
        var isPart = from is not null || next.Count > 0;
        var summary = isPart ? await services.GetAsync<Summary>(Apps.Reporting, "summary", cancellationToken) : default;
        return new(
            new(
                [.. holds.OrderBy(hold => hold.Since)],
                pages.Sum(page => page.Read.Value!.Orders.Count),
                summary.Value?.ByStatus.Where(status => !OrderStatuses.IsOver(status.Key)).Sum(status => status.Value),
                next.Count > 0 ? next : null),
            null);
    }

    /// <param name="key">The same for one delivery of goods, however often it is sent.</param>
    public Task<Answer<Product>> ReceiveAsync(string sku, int quantity, string key, CancellationToken cancellationToken) => services.SendAsync<Product>(
        HttpMethod.Post, Apps.Inventory, $"products/{Uri.EscapeDataString(sku)}/receipts", new { quantity }, cancellationToken, ("Idempotency-Key", key));
}
