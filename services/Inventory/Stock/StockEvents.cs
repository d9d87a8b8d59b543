namespace DaprOrders.Inventory.Stock;

/// <summary>
/// What happened to the stock of one SKU. Stream <c>stock-{sku}</c>, not published: others hear of reservations. An order is granted at most one
/// hold, and is over at most once: after that it gets nothing of this SKU any more, whoever asks again and whenever.
/// </summary>
public abstract record StockEvent
{
    /// <summary>By which an event is found among millions: see <see cref="EventSourcing.StreamCategory{TState,TEvent}.NameOf"/>.</summary>
    public static string? NameOf(StockEvent happened) => happened switch
    {
        GoodsReceived e => NameOfReceipt(e.ReceiptId),
        HoldGranted e => NameOfGrant(e.OrderId),
        HoldRefused e => NameOfEnd(e.OrderId),
        HoldReleased e => NameOfEnd(e.OrderId),
        HoldFulfilled e => NameOfEnd(e.OrderId),
        _ => null,
    };

    public static string NameOfReceipt(string receiptId) => $"receipt|{receiptId}";

    public static string NameOfGrant(string orderId) => $"granted|{orderId}";

    public static string NameOfEnd(string orderId) => $"over|{orderId}";
}

public sealed record GoodsReceived(string ReceiptId, int Quantity) : StockEvent;

/// <summary>The goods are kept for the order.</summary>
public sealed record HoldGranted(string OrderId, int Quantity) : StockEvent;

/// <summary>There was too little.</summary>
public sealed record HoldRefused(string OrderId, int Requested, long Available) : StockEvent;

/// <summary>They are free for others again. <c>Quantity</c> 0: nothing was held, and should the hold still be on its way, it comes too late.</summary>
public sealed record HoldReleased(string OrderId, int Quantity) : StockEvent;

/// <summary>What was held has left the house.</summary>
public sealed record HoldFulfilled(string OrderId, int Quantity) : StockEvent;
