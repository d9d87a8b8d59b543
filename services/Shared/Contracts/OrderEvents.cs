namespace DaprOrders.Contracts;

/// <summary>What happened to an order. Stream <c>order-{orderId}</c>, topic <c>orders</c>.</summary>
public abstract record OrderEvent(string OrderId);

/// <summary><c>RequestFingerprint</c>: SHA-256 of the request when it came with an Idempotency-Key, so that a key with another body is noticed.</summary>
public sealed record OrderCreated(
    string OrderId,
    string CustomerId,
    string PaymentMethod,
    IReadOnlyList<OrderLine> Lines,
    Money Total,
    string? RequestFingerprint) : OrderEvent(OrderId);

public sealed record OrderLine(string Sku, string Name, int Quantity, Money UnitPrice);

/// <summary>The goods are held: now it can be paid. Carries what the payment needs, so that Payments keeps nothing of orders that never come so far.</summary>
public sealed record OrderStockReserved(string OrderId, string PaymentMethod, Money Total) : OrderEvent(OrderId);

public sealed record OrderPaid(string OrderId, string ChargeId) : OrderEvent(OrderId);

public sealed record OrderShipped(string OrderId, string TrackingNumber) : OrderEvent(OrderId);

/// <summary><c>Reason</c>: outOfStock, paymentDeclined, paymentTimeout, customer. <c>Detail</c> is for people.</summary>
public sealed record OrderCancelled(string OrderId, string Reason, string? Detail) : OrderEvent(OrderId);
