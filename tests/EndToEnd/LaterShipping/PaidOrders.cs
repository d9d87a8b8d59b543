using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Shipping.Shipments;
using Microsoft.Extensions.Options;

namespace DaprOrders.Shipping.DispatchingShipments;

/// <summary>Topic <c>orders</c>: a paid order is sent off, or waits for somebody to do it.</summary>
public sealed class PaidOrders(EventStore store, IOptions<ShippingOptions> options)
{
    /// <summary>They change nothing here, so they are not worth the write that notes them as seen.</summary>
    public static IReadOnlyCollection<Type> WithoutEffect { get; } = [typeof(OrderCreated), typeof(OrderStockReserved), typeof(OrderShipped)];

    /// <summary>Each event that matters says all that matters here, whatever went before it.</summary>
    private const long NeededUpTo = 0;

    public async Task HandleAsync(IReadOnlyList<IncomingEvent> delivered, CancellationToken cancellationToken)
    {
        IReadOnlyList<IncomingEvent> events = [.. delivered.Where(incoming => !WithoutEffect.Contains(incoming.Payload.GetType()))];
        if (events.Count > 0)
        {
            await store.ConsumeAsync(
                Shipment.Category, ((OrderEvent)events[0].Payload).OrderId, events, Decide, cancellationToken, NeededUpTo, likelyNew: events[0].Payload is OrderPaid);
        }
    }

    private Decision<ShipmentEvent> Decide(Shipment shipment, IncomingEvent incoming) => incoming.Payload switch
    {
        OrderPaid paid => Later(ShipmentDecider.Decide(shipment, new ShipmentCommand.Request(paid.OrderId, options.Value.AutoDispatch))),
        OrderCancelled cancelled => ShipmentDecider.Decide(shipment, new ShipmentCommand.OrderWasCancelled(cancelled.OrderId)),
        _ => throw new UnknownEventException($"Shipping has no answer to {incoming.Recorded.Type} ({incoming.Recorded.Id})."),
    };

    private Decision<ShipmentEvent> Later(Decision<ShipmentEvent> decision)
    {
        if (decision.Events is not [ShipmentDispatched dispatched])
            return decision;
        var withCarrier = dispatched with { Tracking = dispatched.Tracking with { Carrier = "post" } };
        return options.Value.WritesPacked ? Decision<ShipmentEvent>.Of(new ShipmentPacked(dispatched.OrderId, 1), withCarrier) : withCarrier;
    }
}
