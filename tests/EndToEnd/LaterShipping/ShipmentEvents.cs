using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace DaprOrders.Contracts;

/// <summary>What happened to an order's shipment. Stream <c>shipment-{orderId}</c>, topic <c>shipments</c>.</summary>
public abstract record ShipmentEvent(string OrderId);

public sealed record ShipmentRequested(string OrderId) : ShipmentEvent(OrderId);

/// <summary>Later: a type that the release before does not know.</summary>
public sealed record ShipmentPacked(string OrderId, int Parcels) : ShipmentEvent(OrderId);

/// <summary>Later: another shape, schema version 2.</summary>
[method: JsonConstructor]
public sealed record ShipmentDispatched(string OrderId, Tracking Tracking) : ShipmentEvent(OrderId)
{
    public ShipmentDispatched(string orderId, string number)
        : this(orderId, new Tracking(number))
    {
    }

    /// <summary>Of version 1, which has what it says of the tracking beside the order.</summary>
    public static JsonObject Upcast(JsonObject json)
    {
        var tracking = new JsonObject { ["number"] = json["trackingNumber"]?.DeepClone() };
        if (json["carrier"] is { } carrier)
            tracking["carrier"] = carrier.DeepClone();
        return new JsonObject { ["orderId"] = json["orderId"]?.DeepClone(), ["tracking"] = tracking };
    }

    /// <summary>To version 1, for those who do not know this one yet.</summary>
    public static JsonObject Downcast(JsonObject json)
    {
        var former = new JsonObject { ["orderId"] = json["orderId"]?.DeepClone(), ["trackingNumber"] = json["tracking"]?["number"]?.DeepClone() };
        if (json["tracking"]?["carrier"] is { } carrier)
            former["carrier"] = carrier.DeepClone();
        return former;
    }
}

/// <param name="Carrier">Later: a field that the events of before have not, in version 1 neither.</param>
public sealed record Tracking(string Number, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Carrier = null);

/// <summary>The order was cancelled first: nothing will be sent, whatever arrives later.</summary>
/// <param name="Reason">The customer's words, when there were any: this event may reach the order before the cancellation that asked for it does.</param>
public sealed record ShipmentCancelled(
    string OrderId,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Reason = null) : ShipmentEvent(OrderId);
