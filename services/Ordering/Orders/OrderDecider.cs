using System.Diagnostics;
using DaprOrders.Contracts;
using Answer = DaprOrders.EventSourcing.Decision<DaprOrders.Contracts.OrderEvent>;

namespace DaprOrders.Ordering.Orders;

/// <summary>
/// Every answer of an order to a command or to another service's event. Late and crossed events are answered by nothing: what they report
/// is already so, or no longer matters. An event that contradicts the order's own history is refused, so that it is tried again and, if
/// it stays wrong, ends in the dead letters where a person sees it.
/// </summary>
public static class OrderDecider
{
    public static Answer Decide(Order order, OrderCommand command) => (command, order) switch
    {
        (OrderCommand.Place c, Order.NotPlaced) =>
            new OrderCreated(c.OrderId, c.CustomerId, c.PaymentMethod, c.Lines, c.Total, c.Fingerprint),
        (OrderCommand.Place c, Order.Placed o) => PlaceAgain(o, c.Fingerprint),

        (OrderCommand.Cancel c, Order.NotPlaced) => NoSuchOrder(c.OrderId),
        (OrderCommand.Cancel c, Order.Created or Order.StockReserved) => new OrderCancelled(c.OrderId, CancellationReason.Customer, c.Detail),
        (OrderCommand.Cancel c, Order.Paid) => c.ShipmentStopped
            ? new OrderCancelled(c.OrderId, CancellationReason.Customer, c.Detail)
            : Answer.Refuse(Refusals.ShipmentNotStopped, "The order is paid: Shipping must stop its shipment before it can be cancelled."),
        (OrderCommand.Cancel c, Order.Shipped) =>
            Answer.Refuse(Refusals.OrderShipped, $"Order {c.OrderId} has been shipped and cannot be cancelled any more."),
        (OrderCommand.Cancel, Order.Cancelled) => Answer.Nothing,

        (OrderCommand.CancelUnpaid, Order.NotPlaced) => Answer.Nothing,
        (OrderCommand.CancelUnpaid c, Order.Created) =>
            new OrderCancelled(c.OrderId, CancellationReason.PaymentTimeout, "The goods were not reserved in time."),
        (OrderCommand.CancelUnpaid c, Order.StockReserved) =>
            new OrderCancelled(c.OrderId, CancellationReason.PaymentTimeout, "The payment was not made in time."),
        (OrderCommand.CancelUnpaid, Order.Paid or Order.Shipped or Order.Cancelled) => Answer.Nothing,

        _ => throw new UnreachableException($"No answer of {order} to {command}."),
    };

    /// <summary>An order that exists is asked for again: it is what it is, whatever its goods are called or cost by now.</summary>
    public static Answer PlaceAgain(Order.Placed order, string? fingerprint) => fingerprint is not null && fingerprint == order.Terms.RequestFingerprint
        ? Answer.Nothing
        : Answer.Refuse(Refusals.IdempotencyKeyReused, "This Idempotency-Key was used before for an order with other contents.");

    public static Answer Decide(Order order, ReservationEvent happened) => (happened, order) switch
    {
        (_, Order.NotPlaced) => NoSuchOrder(happened.OrderId),

        (StockReserved, Order.Created o) => new OrderStockReserved(happened.OrderId, o.Terms.PaymentMethod, o.Terms.Total),
        (StockReserved, Order.StockReserved or Order.Paid or Order.Shipped or Order.Cancelled) => Answer.Nothing,

        (StockRejected e, Order.Created) => new OrderCancelled(e.OrderId, CancellationReason.OutOfStock, Describe(e.Shortages)),
        (StockRejected, Order.StockReserved or Order.Paid or Order.Shipped) => Contradiction(order, happened, happened.OrderId),
        (StockRejected, Order.Cancelled) => Answer.Nothing,

        (ReservationReleased, Order.Created or Order.StockReserved or Order.Paid or Order.Shipped) =>
            Contradiction(order, happened, happened.OrderId),
        (ReservationReleased, Order.Cancelled) => Answer.Nothing,

        (ReservationFulfilled, Order.Created or Order.StockReserved or Order.Paid or Order.Cancelled) =>
            Contradiction(order, happened, happened.OrderId),
        (ReservationFulfilled, Order.Shipped) => Answer.Nothing,

        _ => throw new UnreachableException($"No answer of {order} to {happened}."),
    };

    public static Answer Decide(Order order, PaymentEvent happened) => (happened, order) switch
    {
        (_, Order.NotPlaced) => NoSuchOrder(happened.OrderId),

        (PaymentRequested, Order.Created) => Contradiction(order, happened, happened.OrderId),
        (PaymentRequested, Order.StockReserved or Order.Paid or Order.Shipped or Order.Cancelled) => Answer.Nothing,

        (PaymentAuthorized, Order.Created) => Contradiction(order, happened, happened.OrderId),
        (PaymentAuthorized e, Order.StockReserved) => new OrderPaid(e.OrderId, e.ChargeId),
        // After a cancellation Payments refunds by itself: it reads the cancellation on topic orders.
        (PaymentAuthorized, Order.Paid or Order.Shipped or Order.Cancelled) => Answer.Nothing,

        (PaymentDeclined e, Order.StockReserved) => new OrderCancelled(e.OrderId, CancellationReason.PaymentDeclined, e.Reason),
        (PaymentDeclined, Order.Created or Order.Paid or Order.Shipped) => Contradiction(order, happened, happened.OrderId),
        (PaymentDeclined, Order.Cancelled) => Answer.Nothing,

        (PaymentVoided or RefundRequested or PaymentRefunded or RefundRefused, Order.Created or Order.StockReserved or Order.Paid or Order.Shipped) =>
            Contradiction(order, happened, happened.OrderId),
        (PaymentVoided or RefundRequested or PaymentRefunded or RefundRefused, Order.Cancelled) => Answer.Nothing,

        _ => throw new UnreachableException($"No answer of {order} to {happened}."),
    };

    public static Answer Decide(Order order, ShipmentEvent happened) => (happened, order) switch
    {
        (_, Order.NotPlaced) => NoSuchOrder(happened.OrderId),

        (ShipmentRequested, Order.Created or Order.StockReserved) => Contradiction(order, happened, happened.OrderId),
        (ShipmentRequested, Order.Paid or Order.Shipped or Order.Cancelled) => Answer.Nothing,

        (ShipmentDispatched, Order.Created or Order.StockReserved or Order.Cancelled) => Contradiction(order, happened, happened.OrderId),
        (ShipmentDispatched e, Order.Paid) => new OrderShipped(e.OrderId, e.TrackingNumber),
        (ShipmentDispatched, Order.Shipped) => Answer.Nothing,

        // Shipping decides whether a paid order can still be stopped. Once it has said so, the order is over, even when the cancellation
        // that asked for it died half-way.
        (ShipmentCancelled e, Order.Created or Order.StockReserved or Order.Paid) =>
            new OrderCancelled(e.OrderId, CancellationReason.Customer, e.Reason),
        (ShipmentCancelled, Order.Shipped) => Contradiction(order, happened, happened.OrderId),
        (ShipmentCancelled, Order.Cancelled) => Answer.Nothing,

        _ => throw new UnreachableException($"No answer of {order} to {happened}."),
    };

    private static Answer NoSuchOrder(string orderId) => Answer.Refuse(Refusals.OrderNotFound, $"There is no order {orderId}.");

    private static Answer Contradiction(Order order, object happened, string orderId) => Answer.Refuse(
        Refusals.ContradictsHistory, $"Order {orderId} is {order.GetType().Name}: {happened.GetType().Name} cannot be true of it.");

    private static string Describe(IEnumerable<StockShortage> shortages) =>
        string.Join("; ", shortages.Select(s => $"{s.Sku}: {s.Requested} asked for, {s.Available} available"));
}
