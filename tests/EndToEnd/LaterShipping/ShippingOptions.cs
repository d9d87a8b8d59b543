namespace DaprOrders.Shipping;

/// <summary>Section <c>Shipping</c> of the configuration.</summary>
public sealed class ShippingOptions
{
    /// <summary>Whether a paid order leaves at once; otherwise on POST /shipments/{orderId}/dispatch.</summary>
    public bool AutoDispatch { get; set; } = true;

    /// <summary>Later: off in the release that reads <c>ShipmentPacked</c> first, on in the next, when nobody is left who does not (docs/upgrades.md).</summary>
    public bool WritesPacked { get; set; }
}
