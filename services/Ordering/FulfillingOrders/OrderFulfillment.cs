using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Orders;

namespace DaprOrders.Ordering.FulfillingOrders;

/// <summary>What Inventory, Payments and Shipping report of an order moves the order on.</summary>
public sealed class OrderFulfillment(EventStore store)
{
    /// <summary>Topics <c>stock</c>, <c>payments</c> and <c>shipments</c>: one stream of theirs belongs to one order.</summary>
    public Task FollowAsync(IReadOnlyList<IncomingEvent> events, CancellationToken cancellationToken) => store.ConsumeAsync(
        Order.Category, OrderIdOf(events[0]), events, (order, incoming) => Decide(order, incoming.Payload), cancellationToken);

    private static Decision<OrderEvent> Decide(Order order, object happened) => happened switch
    {
        ReservationEvent e => OrderDecider.Decide(order, e),
        PaymentEvent e => OrderDecider.Decide(order, e),
        ShipmentEvent e => OrderDecider.Decide(order, e),
        _ => throw Unexpected(happened),
    };

    private static string OrderIdOf(IncomingEvent incoming) => incoming.Payload switch
    {
        ReservationEvent e => e.OrderId,
        PaymentEvent e => e.OrderId,
        ShipmentEvent e => e.OrderId,
        var other => throw Unexpected(other),
    };

    private static UnknownEventException Unexpected(object happened) =>
        new($"{happened.GetType().Name} says nothing about an order; it came on a topic of reservations, payments or shipments.");
}
