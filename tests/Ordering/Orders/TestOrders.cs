using DaprOrders.Contracts;
using DaprOrders.Ordering.Orders;

namespace DaprOrders.Ordering.Tests.Orders;

/// <summary>One order in every status, and everything that may be said to it.</summary>
internal static class TestOrders
{
    public const string Id = "o-1";

    public static readonly OrderCreated Terms = new(
        Id, "c-42", "pm_card_ok", [new OrderLine("tea-001", "Tea", 2, new Money(9.50m, "EUR"))], new Money(19.00m, "EUR"), "f-1");

    public static readonly IReadOnlyDictionary<string, Order> ByStatus = new Dictionary<string, Order>
    {
        ["notPlaced"] = new Order.NotPlaced(),
        ["created"] = new Order.Created(Terms),
        ["stockReserved"] = new Order.StockReserved(Terms),
        ["paid"] = new Order.Paid(Terms),
        ["shipped"] = new Order.Shipped(Terms, "T-1"),
        ["cancelled"] = new Order.Cancelled(Terms, CancellationReason.Customer, null),
    };

    public static readonly IReadOnlyDictionary<string, object> Inputs = new Dictionary<string, object>
    {
        ["Place, the same request"] = new OrderCommand.Place(Id, Terms.CustomerId, Terms.PaymentMethod, Terms.Lines, Terms.Total, "f-1"),
        ["Place, another request"] = new OrderCommand.Place(Id, Terms.CustomerId, Terms.PaymentMethod, Terms.Lines, Terms.Total, "f-2"),
        ["Cancel"] = new OrderCommand.Cancel(Id, "too late", ShipmentStopped: false),
        ["Cancel, shipment stopped"] = new OrderCommand.Cancel(Id, "too late", ShipmentStopped: true),
        ["CancelUnpaid"] = new OrderCommand.CancelUnpaid(Id),
        ["StockReserved"] = new StockReserved(Id, [new ReservedLine("tea-001", 2)]),
        ["StockRejected"] = new StockRejected(Id, [new StockShortage("tea-001", 2, 1)]),
        ["ReservationReleased"] = new ReservationReleased(Id, [new ReservedLine("tea-001", 2)]),
        ["ReservationFulfilled"] = new ReservationFulfilled(Id),
        ["PaymentRequested"] = new PaymentRequested(Id, Terms.Total, "pm_card_ok"),
        ["PaymentAuthorized"] = new PaymentAuthorized(Id, "ch-1", Terms.Total),
        ["PaymentDeclined"] = new PaymentDeclined(Id, "insufficient funds"),
        ["PaymentVoided"] = new PaymentVoided(Id),
        ["RefundRequested"] = new RefundRequested(Id),
        ["PaymentRefunded"] = new PaymentRefunded(Id, "re-1", Terms.Total),
        ["RefundRefused"] = new RefundRefused(Id, "ch-1", "charge-too-old"),
        ["ShipmentRequested"] = new ShipmentRequested(Id),
        ["ShipmentDispatched"] = new ShipmentDispatched(Id, "T-1"),
        ["ShipmentCancelled"] = new ShipmentCancelled(Id),
    };

    public static EventSourcing.Decision<OrderEvent> Decide(Order order, object input) => input switch
    {
        OrderCommand command => OrderDecider.Decide(order, command),
        ReservationEvent happened => OrderDecider.Decide(order, happened),
        PaymentEvent happened => OrderDecider.Decide(order, happened),
        ShipmentEvent happened => OrderDecider.Decide(order, happened),
        _ => throw new ArgumentException($"{input.GetType().Name} is nothing that is said to an order.", nameof(input)),
    };
}
