namespace DaprOrders.Ordering.Orders;

/// <summary>The stable codes of refusals; in HTTP answers they follow <c>urn:daprorders:</c>.</summary>
public static class Refusals
{
    public const string OrderNotFound = "order-not-found";
    public const string OrderShipped = "order-shipped";
    public const string ShipmentNotStopped = "shipment-not-stopped";
    public const string IdempotencyKeyReused = "idempotency-key-reused";
    public const string ContradictsHistory = "contradicts-history";
}
