namespace DaprOrders.Contracts;

/// <summary>What happened to an order's payment. Stream <c>payment-{orderId}</c>, topic <c>payments</c>.</summary>
public abstract record PaymentEvent(string OrderId);

/// <summary>The goods are held, the charge is on its way.</summary>
public sealed record PaymentRequested(string OrderId, Money Amount, string PaymentMethod) : PaymentEvent(OrderId);

public sealed record PaymentAuthorized(string OrderId, string ChargeId, Money Amount) : PaymentEvent(OrderId);

public sealed record PaymentDeclined(string OrderId, string Reason) : PaymentEvent(OrderId);

/// <summary>The order was cancelled, nothing was charged, and nothing will be.</summary>
public sealed record PaymentVoided(string OrderId) : PaymentEvent(OrderId);

/// <summary>
/// The order was cancelled while the charge was on its way or done, or a refused refund is tried again. Once the outcome is known,
/// PaymentRefunded, RefundRefused or PaymentVoided follows.
/// </summary>
public sealed record RefundRequested(string OrderId) : PaymentEvent(OrderId);

public sealed record PaymentRefunded(string OrderId, string RefundId, Money Amount) : PaymentEvent(OrderId);

/// <summary>The provider will not give the charge back: people have to see to it.</summary>
public sealed record RefundRefused(string OrderId, string ChargeId, string Reason) : PaymentEvent(OrderId);
