using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Orders;
using DaprOrders.Ordering.PlacingOrders;

namespace DaprOrders.Ordering.FulfillingOrders;

/// <summary>What Inventory, Payments and Shipping report of an order moves the order on.</summary>
public sealed class OrderFulfillment(EventStore store, OrdersUnderway underway)
{
    /// <summary>
    /// It changes nothing here, so it is not worth the write that notes it as seen. Nor do a requested payment and a requested shipment, which only tell
    /// how far the orders are.
    /// </summary>
    public static IReadOnlyCollection<Type> WithoutEffect { get; } = [typeof(ReservationFulfilled)];

    /// <summary>Each event that matters says all that matters here, whatever went before it.</summary>
    private const long NeededUpTo = 0;

    /// <summary>Topics <c>stock</c>, <c>payments</c> and <c>shipments</c>: one stream of theirs belongs to one order.</summary>
    public async Task FollowAsync(IReadOnlyList<IncomingEvent> delivered, CancellationToken cancellationToken)
    {
        foreach (var incoming in delivered)
        {
            underway.See(incoming.Payload);
        }

        IReadOnlyList<IncomingEvent> events =
            [.. delivered.Where(incoming => incoming.Payload is not (PaymentRequested or ShipmentRequested) && !WithoutEffect.Contains(incoming.Payload.GetType()))];
        if (events.Count > 0)
        {
            var orderId = OrderIdOf(events[0]);
            var handled = await store.ConsumeAsync(
                Order.Category, orderId, events, (order, incoming) => Decide(order, incoming.Payload), cancellationToken, NeededUpTo);
            FulfillmentMetrics.Appended(handled);
            if (handled is { Appended.Count: > 0, Stream.State: Order.Paid })
                underway.Pay(orderId);
        }
    }

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
