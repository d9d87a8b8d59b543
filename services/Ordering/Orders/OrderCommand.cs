using DaprOrders.Contracts;

namespace DaprOrders.Ordering.Orders;

/// <summary>What may be asked of an order.</summary>
public abstract record OrderCommand
{
    private OrderCommand()
    {
    }

    /// <param name="Fingerprint">Of the request, when it came with an Idempotency-Key.</param>
    public sealed record Place(
        string OrderId,
        string CustomerId,
        string PaymentMethod,
        IReadOnlyList<OrderLine> Lines,
        Money Total,
        string? Fingerprint) : OrderCommand;

    /// <summary>The customer does not want it any more.</summary>
    /// <param name="ShipmentStopped">Shipping has promised to send nothing: without that promise a paid order cannot be cancelled.</param>
    public sealed record Cancel(string OrderId, string? Detail, bool ShipmentStopped) : OrderCommand;

    /// <summary>The time to pay is over.</summary>
    public sealed record CancelUnpaid(string OrderId) : OrderCommand;
}
