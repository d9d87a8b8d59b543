namespace DaprOrders.Contracts;

/// <summary>What happened to an order's payment. Stream <c>payment-{orderId}</c>, topic <c>payments</c>.</summary>
public abstract record PaymentEvent(string OrderId);

/// <summary>The goods are held, the charge is on its way.</summary>
public sealed record PaymentRequested(string OrderId, Money Amount, string PaymentMethod) : PaymentEvent(OrderId);

public sealed record PaymentAuthorized(string OrderId, string ChargeId, Money Amount) : PaymentEvent(OrderId);

public sealed record PaymentDeclined(string OrderId, string Reason) : PaymentEvent(OrderId);

/// <summary>The order was cancelled, nothing was charged, and nothing will be.</summary>
public sealed record PaymentVoided(string OrderId) : PaymentEvent(OrderId);

/// <summary>The order was cancelled while the charge was on its way or done. Once its outcome is known, PaymentRefunded or PaymentVoided follows.</summary>
public sealed record RefundRequested(string OrderId) : PaymentEvent(OrderId);

public sealed record PaymentRefunded(string OrderId, string RefundId, Money Amount) : PaymentEvent(OrderId);
