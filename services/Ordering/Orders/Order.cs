using System.Diagnostics;
using System.Text.Json.Serialization;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Ordering.Orders;

/// <summary>What an order's events amount to: one record per status. <c>Shipped</c> and <c>Cancelled</c> are final.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "status")]
[JsonDerivedType(typeof(NotPlaced), "notPlaced")]
[JsonDerivedType(typeof(Created), "created")]
[JsonDerivedType(typeof(StockReserved), "stockReserved")]
[JsonDerivedType(typeof(Paid), "paid")]
[JsonDerivedType(typeof(Shipped), "shipped")]
[JsonDerivedType(typeof(Cancelled), "cancelled")]
public abstract record Order
{
    private Order()
    {
    }

    public static StreamCategory<Order, OrderEvent> Category { get; } = new("order", "orders", new NotPlaced(), Evolve);

    /// <summary>No order was ever placed under this id.</summary>
    public sealed record NotPlaced : Order;

    /// <summary>An order that exists. <c>Terms</c>: what was agreed when it was placed; never changes.</summary>
    public abstract record Placed(OrderCreated Terms) : Order;

    /// <summary>Inventory has not answered yet.</summary>
    public sealed record Created(OrderCreated Terms) : Placed(Terms);

    /// <summary>The goods are held; the money is not there yet.</summary>
    public sealed record StockReserved(OrderCreated Terms) : Placed(Terms);

    public sealed record Paid(OrderCreated Terms) : Placed(Terms);

    public sealed record Shipped(OrderCreated Terms, string TrackingNumber) : Placed(Terms);

    public sealed record Cancelled(OrderCreated Terms, string Reason, string? Detail) : Placed(Terms);

    public static Order Evolve(Order order, OrderEvent happened) => (order, happened) switch
    {
        (NotPlaced, OrderCreated e) => new Created(e),
        (Created o, OrderStockReserved) => new StockReserved(o.Terms),
        (StockReserved o, OrderPaid) => new Paid(o.Terms),
        (Paid o, OrderShipped e) => new Shipped(o.Terms, e.TrackingNumber),
        (Created or StockReserved or Paid, OrderCancelled e) => new Cancelled(((Placed)order).Terms, e.Reason, e.Detail),
        _ => throw new UnreachableException($"{happened.GetType().Name} cannot follow in the stream of an order that is {order.GetType().Name}."),
    };
}
