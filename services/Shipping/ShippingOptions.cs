namespace DaprOrders.Shipping;

/// <summary>Section <c>Shipping</c> of the configuration.</summary>
public sealed class ShippingOptions
{
    /// <summary>Whether a paid order leaves at once; otherwise on POST /shipments/{orderId}/dispatch.</summary>
    public bool AutoDispatch { get; set; } = true;
}
