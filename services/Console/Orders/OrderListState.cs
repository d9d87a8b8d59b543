using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Orders;

/// <summary>A page of the list as it is shown; rows change where they are, and new ones wait until they are asked for.</summary>
/// <param name="Waiting">Orders that were placed since.</param>
public sealed record OrderListState(IReadOnlyList<ListedOrder> Rows, string? Next, IReadOnlyList<ListedOrder> Waiting, Failure? Failure)
{
    public static OrderListState Of(Answer<OrderPage> page) =>
        page.IsHere ? new(page.Value.Orders, page.Value.Cursor, [], null) : new([], null, [], page.Failure);

    /// <summary>What changed of the rows, in their places. Orders that are newer than all of them wait.</summary>
    public OrderListState With(Answer<OrderPage> read)
    {
        if (!read.IsHere)
            return this with { Failure = read.Failure };

        var known = Rows.Concat(Waiting).Select(order => order.OrderId).ToHashSet();
        var fresh = read.Value.Orders.ToDictionary(order => order.OrderId);
        var newest = Rows.Count == 0 ? DateTimeOffset.MinValue : Rows.Max(order => order.CreatedAt);
        if (Rows.Count == 0)
            return Of(read);
        return this with
        {
            Rows = [.. Rows.Select(order => Newer(order, fresh))],
            Waiting = [.. read.Value.Orders.Where(order => !known.Contains(order.OrderId) && order.CreatedAt >= newest), .. Waiting.Select(order => Newer(order, fresh))],
            Failure = null,
        };
    }

    /// <summary>One order's status; null when the list does not have it.</summary>
    public OrderListState? With(OrderUpdate update)
    {
        if (!Rows.Concat(Waiting).Any(order => order.OrderId == update.OrderId))
            return null;
        return this with { Rows = [.. Rows.Select(Changed)], Waiting = [.. Waiting.Select(Changed)] };

        ListedOrder Changed(ListedOrder order) => order.OrderId != update.OrderId || update.Version <= order.Version ? order : order with
        {
            Status = update.Status,
            Version = update.Version,
            UpdatedAt = update.At,
            History = [.. order.History, new StatusSince(update.Status, update.At)],
        };
    }

    public OrderListState ShowWaiting() => this with { Rows = [.. Waiting, .. Rows], Waiting = [] };

    private static ListedOrder Newer(ListedOrder order, Dictionary<string, ListedOrder> read) =>
        read.TryGetValue(order.OrderId, out var found) && found.Version >= order.Version ? found : order;
}
