using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Orders;

namespace DaprOrders.Ordering.FollowingOrders;

/// <summary>An order as the API shows it.</summary>
/// <param name="Status">created, stockReserved, paid, shipped or cancelled; the last two are final.</param>
/// <param name="Version">The number of its events; also its ETag.</param>
public sealed record OrderView(
    string OrderId,
    string CustomerId,
    string Status,
    long Version,
    Money Total,
    IReadOnlyList<OrderLineView> Lines,
    CancellationView? Cancellation,
    ShipmentView? Shipment,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt)
{
    /// <summary>Null when the order was never placed.</summary>
    public static OrderView? Of(StreamState<Order> stream) => stream is { State: Order.Placed order, CreatedAt: { } created, UpdatedAt: { } updated }
        ? new(
            order.Terms.OrderId,
            order.Terms.CustomerId,
            StatusOf(order),
            stream.Version,
            order.Terms.Total,
            [.. order.Terms.Lines.Select(line => new OrderLineView(line.Sku, line.Name, line.Quantity, line.UnitPrice))],
            // Both statuses are final: the last event is the one that led to them.
            order is Order.Cancelled cancelled ? new(cancelled.Reason, cancelled.Detail, updated) : null,
            order is Order.Shipped shipped ? new(shipped.TrackingNumber, updated) : null,
            created,
            updated)
        : null;

    private static string StatusOf(Order.Placed order) => order switch
    {
        Order.Created => "created",
        Order.StockReserved => "stockReserved",
        Order.Paid => "paid",
        Order.Shipped => "shipped",
        Order.Cancelled => "cancelled",
        _ => throw new UnreachableException($"{order.GetType().Name} has no name in the API."),
    };
}

public sealed record OrderLineView(string Sku, string Name, int Quantity, Money UnitPrice);

/// <param name="Reason">outOfStock, paymentDeclined, paymentTimeout or customer.</param>
/// <param name="Detail">For people.</param>
public sealed record CancellationView(string Reason, string? Detail, DateTimeOffset At);

public sealed record ShipmentView(string TrackingNumber, DateTimeOffset At);

/// <summary>One event of an order's history.</summary>
/// <param name="Id">The id that it was published under.</param>
/// <param name="FoundBy">Only where the event that led to it did not come by its topic: catchUp (found in the publisher's log, late) or gap (asked for, when a later one came).</param>
public sealed record OrderEventView(
    string Id,
    long Version,
    string Type,
    int SchemaVersion,
    DateTimeOffset OccurredAt,
    string? CausationId,
    string? CorrelationId,
    JsonElement Data,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? FoundBy);
