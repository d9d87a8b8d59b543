namespace DaprOrders.Contracts;

/// <summary>What happened to an order's shipment. Stream <c>shipment-{orderId}</c>, topic <c>shipments</c>.</summary>
public abstract record ShipmentEvent(string OrderId);

public sealed record ShipmentRequested(string OrderId) : ShipmentEvent(OrderId);

public sealed record ShipmentDispatched(string OrderId, string TrackingNumber) : ShipmentEvent(OrderId);

/// <summary>The order was cancelled first: nothing will be sent, whatever arrives later.</summary>
public sealed record ShipmentCancelled(string OrderId) : ShipmentEvent(OrderId);
