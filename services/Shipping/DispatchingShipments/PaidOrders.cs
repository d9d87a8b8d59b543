using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Shipping.Shipments;
using Microsoft.Extensions.Options;

namespace DaprOrders.Shipping.DispatchingShipments;

/// <summary>Topic <c>orders</c>: a paid order is sent off, or waits for somebody to do it.</summary>
public sealed class PaidOrders(EventStore store, IOptions<ShippingOptions> options)
{
    public async Task HandleAsync(IReadOnlyList<IncomingEvent> events, CancellationToken cancellationToken)
    {
        // Follows from our own event and ends the order's stream: not worth the write that notes it as seen.
        if (!events.All(incoming => incoming.Payload is OrderShipped))
        {
            await store.ConsumeAsync(Shipment.Category, ((OrderEvent)events[0].Payload).OrderId, events, Decide, cancellationToken);
        }
    }

    private Decision<ShipmentEvent> Decide(Shipment shipment, IncomingEvent incoming) => incoming.Payload switch
    {
        OrderPaid paid => ShipmentDecider.Decide(shipment, new ShipmentCommand.Request(paid.OrderId, options.Value.AutoDispatch)),
        OrderCancelled cancelled => ShipmentDecider.Decide(shipment, new ShipmentCommand.OrderWasCancelled(cancelled.OrderId)),
        OrderCreated or OrderStockReserved or OrderShipped => Decision<ShipmentEvent>.Nothing,
        _ => throw new UnknownEventException($"Shipping has no answer to {incoming.Recorded.Type} ({incoming.Recorded.Id})."),
    };
}
