using System.Globalization;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Reporting.Orders;

namespace DaprOrders.Reporting.Sales;

/// <summary>
/// What some events change in the aggregates. An order counts as sold on the (UTC) day on which it was paid; when it is cancelled
/// afterwards, the same amount leaves the same day again. Orders that were cancelled before they were paid never count.
/// </summary>
internal sealed class SalesChange
{
    private readonly Dictionary<string, long> _orders = [];
    private readonly Dictionary<string, Sold> _days = [];
    private readonly Dictionary<string, Sold> _products = [];

    /// <summary>By status, the difference in the number of orders.</summary>
    public IReadOnlyDictionary<string, long> Orders => _orders;

    public IReadOnlyDictionary<string, Sold> Days => _days;

    public IReadOnlyDictionary<string, Sold> Products => _products;

    public Sold Sold { get; private set; } = Sold.Nothing;

    /// <summary>Adds what an event changes, or nothing when it throws.</summary>
    /// <param name="summary">The order, applied at least up to this event: what came before the event is read from its history.</param>
    public void Add(RecordedEvent recorded, OrderSummary summary)
    {
        var before = summary.At(recorded.Version - 1);
        var after = summary.At(recorded.Version)
            ?? throw new InvalidOperationException($"The summary of order {summary.OrderId} does not know {recorded.Id}.");
        if (after.Version != recorded.Version)
            return;
        if (summary.Total is null)
            throw new InvalidOperationException($"{recorded.Id} is of an order that was never placed: its stream begins with something else.");

        if (before is not null)
            Count(before.Status, -1);
        Count(after.Status, 1);

        if (after.Status == OrderStatus.Paid)
            Sell(summary, after, 1);
        else if (after.Status == OrderStatus.Cancelled && before?.Status == OrderStatus.Paid)
            Sell(summary, before, -1);
    }

    public static string DayOf(StatusChange change) => change.At.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private void Count(string status, long difference) => _orders[status] = _orders.GetValueOrDefault(status) + difference;

    private void Sell(OrderSummary summary, StatusChange paid, int sign)
    {
        var sold = Sold.Of(sign, summary.Total! with { Amount = sign * summary.Total.Amount });
        Sold += sold;
        Add(_days, DayOf(paid), sold);
        foreach (var line in summary.Lines)
        {
            Money revenue = line.UnitPrice * (sign * line.Quantity);
            Add(_products, line.Sku, Sold.Of(sign * line.Quantity, revenue, line.Name));
        }
    }

    private static void Add(Dictionary<string, Sold> parts, string key, Sold sold) => parts[key] = parts.GetValueOrDefault(key, Sold.Nothing) + sold;
}
