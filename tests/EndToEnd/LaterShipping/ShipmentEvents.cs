using System.Text.Json.Serialization;

namespace DaprOrders.Contracts;

/// <summary>What happened to an order's shipment. Stream <c>shipment-{orderId}</c>, topic <c>shipments</c>.</summary>
public abstract record ShipmentEvent(string OrderId);

public sealed record ShipmentRequested(string OrderId) : ShipmentEvent(OrderId);

/// <summary>Later: a type that the release before does not know.</summary>
public sealed record ShipmentPacked(string OrderId, int Parcels) : ShipmentEvent(OrderId);

/// <param name="Carrier">Later: a field that the events of before have not.</param>
public sealed record ShipmentDispatched(
    string OrderId,
    string TrackingNumber,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Carrier = null) : ShipmentEvent(OrderId);

/// <summary>The order was cancelled first: nothing will be sent, whatever arrives later.</summary>
/// <param name="Reason">The customer's words, when there were any: this event may reach the order before the cancellation that asked for it does.</param>
public sealed record ShipmentCancelled(
    string OrderId,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Reason = null) : ShipmentEvent(OrderId);
