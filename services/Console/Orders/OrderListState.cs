using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Orders;

/// <summary>A page of the list as it is shown; rows change where they are, and new ones wait until they are asked for.</summary>
/// <param name="Waiting">Orders that are in the list since, newest first.</param>
/// <param name="NewerCount">Null: all newer ones wait. Else there are so many or more, and only a new read shows them.</param>
public sealed record OrderListState(IReadOnlyList<ListedOrder> Rows, string? Next, IReadOnlyList<ListedOrder> Waiting, Failure? Failure, int? NewerCount = null)
{
    private const int MostWaiting = 200;
    private const int MostRows = 400;

    /// <summary>A page that is left open takes no more and more memory: at some length it begins anew.</summary>
    public bool CanShowWaiting => NewerCount is null && Rows.Count + Waiting.Count <= MostRows;

    public static OrderListState Of(Answer<OrderPage> page) =>
        page.IsHere ? new([.. page.Value.Orders.Select(WithoutLines)], page.Value.Cursor, [], null) : new([], null, [], page.Failure);

    /// <summary>What changed of the rows, in their places. What stands before them in the list waits: when an order was placed says nothing about where it is listed.</summary>
    public OrderListState With(Answer<OrderPage> read)
    {
        if (!read.IsHere)
            return this with { Failure = read.Failure };
        if (Rows.Count == 0)
            return Of(read);

        var orders = read.Value.Orders;
        var fresh = orders.ToDictionary(order => order.OrderId);
        var known = Rows.Concat(Waiting).Select(order => order.OrderId).ToHashSet();
        var last = orders.Select((order, at) => known.Contains(order.OrderId) ? at : -1).DefaultIfEmpty(-1).Max();
        var reachesRows = last >= 0 || read.Value.Cursor is null || orders.Count == 0;
        IReadOnlyList<ListedOrder> waiting =
        [
            .. orders.Take(last >= 0 ? last : orders.Count).Where(order => !known.Contains(order.OrderId)).Select(WithoutLines), .. Waiting.Select(order => Newer(order, fresh)),
        ];
        var isTooMuch = NewerCount is not null || !reachesRows || waiting.Count > MostWaiting;
        return this with
        {
            Rows = [.. Rows.Select(order => Newer(order, fresh))],
            Waiting = isTooMuch ? [] : waiting,
            NewerCount = isTooMuch ? NewerCount ?? waiting.Count : null,
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
        read.TryGetValue(order.OrderId, out var found) && found.Version >= order.Version ? WithoutLines(found) : order;

    /// <summary>The list does not show them, and they would be most of what a page brings along.</summary>
    private static ListedOrder WithoutLines(ListedOrder order) => order with { Lines = [] };
}
