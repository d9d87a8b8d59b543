using DaprOrders.Contracts;

namespace DaprOrders.Reporting.Sales;

/// <summary>What was sold: orders paid, less those of them that were cancelled afterwards. Amounts by currency.</summary>
internal sealed record Sold(string? Name, long Count, IReadOnlyDictionary<string, decimal> Revenue)
{
    public static Sold Nothing { get; } = new(null, 0, new Dictionary<string, decimal>());

    public static Sold operator +(Sold left, Sold right)
    {
        var revenue = new Dictionary<string, decimal>(left.Revenue);
        foreach (var (currency, amount) in right.Revenue)
            revenue[currency] = revenue.GetValueOrDefault(currency) + amount;
        return new Sold(right.Name ?? left.Name, left.Count + right.Count, revenue);
    }

    public static Sold Of(long count, Money revenue, string? name = null) =>
        new(name, count, new Dictionary<string, decimal> { [revenue.Currency] = revenue.Amount });

    /// <summary>By currency; a currency whose sales were all cancelled is left out.</summary>
    public IReadOnlyList<Money> Amounts() =>
        [.. Revenue.Where(amount => amount.Value != 0).OrderBy(amount => amount.Key, StringComparer.Ordinal).Select(amount => new Money(amount.Value, amount.Key))];
}

/// <summary>A part of the sales of one lane, and the position up to which the lane's events are in it.</summary>
/// <param name="ByKey">By day (<c>2026-11-24</c>, UTC) or by SKU.</param>
internal sealed record SalesPart(long Position, IReadOnlyDictionary<string, Sold> ByKey);

/// <summary>One lane of a publisher's log: how far it is read, and, where its events are about sales, the counts.</summary>
/// <param name="Events">Events read so far.</param>
/// <param name="Orders">Orders by status.</param>
internal sealed record LaneTally(long Position, long Events, IReadOnlyDictionary<string, long> Orders, Sold Sold)
{
    public static LaneTally Start { get; } = new(0, 0, new Dictionary<string, long>(), Sold.Nothing);

    public LaneTally MovedTo(long position, long events, SalesChange change)
    {
        var orders = new Dictionary<string, long>(Orders);
        foreach (var (status, difference) in change.Orders)
            orders[status] = orders.GetValueOrDefault(status) + difference;
        return new LaneTally(position, Events + events, orders, Sold + change.Sold);
    }
}
