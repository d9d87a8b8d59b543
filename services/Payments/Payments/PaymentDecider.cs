using System.Diagnostics;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Payments.Payments;

public abstract record PaymentCommand(string OrderId)
{
    /// <summary>The goods are held: the order is to be paid.</summary>
    public sealed record Request(string OrderId, Money Amount, string PaymentMethod) : PaymentCommand(OrderId);

    /// <summary>The order is cancelled: nothing may stay charged.</summary>
    public sealed record Cancel(string OrderId) : PaymentCommand(OrderId);

    /// <summary>The provider has charged.</summary>
    public sealed record RecordCharge(string OrderId, string ChargeId) : PaymentCommand(OrderId);

    /// <summary>The provider has charged nothing, and says why.</summary>
    public sealed record RecordDecline(string OrderId, string Reason) : PaymentCommand(OrderId);

    /// <summary>The provider has given the charge back.</summary>
    public sealed record RecordRefund(string OrderId, string RefundId) : PaymentCommand(OrderId);

    /// <summary>The provider will not give the charge back, and says why.</summary>
    public sealed record RecordRefundRefusal(string OrderId, string Reason) : PaymentCommand(OrderId);

    /// <summary>Somebody has seen to what the refund was refused for.</summary>
    public sealed record RefundAgain(string OrderId) : PaymentCommand(OrderId);
}

public static class PaymentDecider
{
    /// <summary>Codes of refusals, as they stand in <c>urn:daprorders:{code}</c>.</summary>
    public const string NotFound = "payment-not-found";
    public const string NothingToRefund = "nothing-to-refund";

    private static readonly Decision<PaymentEvent> Nothing = Decision<PaymentEvent>.Nothing;

    public static Decision<PaymentEvent> Decide(Payment payment, PaymentCommand command) => (command, payment) switch
    {
        (PaymentCommand.Request c, Payment.NotAsked) => new PaymentRequested(c.OrderId, c.Amount, c.PaymentMethod),
        (PaymentCommand.Request, Payment.Requested or Payment.CancelledWhileCharging or Payment.Authorized) => Nothing,
        (PaymentCommand.Request, Payment.RefundDue or Payment.RefundBlocked or Payment.Refunded or Payment.Declined or Payment.Voided) => Nothing,

        // The cancellation came first: it is remembered, and a request that comes later charges nothing.
        (PaymentCommand.Cancel c, Payment.NotAsked) => new PaymentVoided(c.OrderId),
        (PaymentCommand.Cancel c, Payment.Requested or Payment.Authorized) => new RefundRequested(c.OrderId),
        (PaymentCommand.Cancel, Payment.CancelledWhileCharging or Payment.RefundDue or Payment.RefundBlocked or Payment.Refunded) => Nothing,
        (PaymentCommand.Cancel, Payment.Declined or Payment.Voided) => Nothing,

        (PaymentCommand.RecordCharge c, Payment.Requested p) => new PaymentAuthorized(c.OrderId, c.ChargeId, p.Amount),
        (PaymentCommand.RecordCharge c, Payment.CancelledWhileCharging p) => new PaymentAuthorized(c.OrderId, c.ChargeId, p.Amount),
        // Two replicas may record one charge; two charges for one order would be money lost.
        (PaymentCommand.RecordCharge c, Payment.Authorized p) => c.ChargeId == p.ChargeId ? Nothing : Contradiction(p, c),
        (PaymentCommand.RecordCharge c, Payment.RefundDue p) => c.ChargeId == p.ChargeId ? Nothing : Contradiction(p, c),
        (PaymentCommand.RecordCharge c, Payment.RefundBlocked p) => c.ChargeId == p.ChargeId ? Nothing : Contradiction(p, c),
        (PaymentCommand.RecordCharge c, Payment.Refunded p) => c.ChargeId == p.ChargeId ? Nothing : Contradiction(p, c),
        (PaymentCommand.RecordCharge, Payment.NotAsked or Payment.Declined or Payment.Voided) => Contradiction(payment, command),

        (PaymentCommand.RecordDecline c, Payment.Requested) => new PaymentDeclined(c.OrderId, c.Reason),
        (PaymentCommand.RecordDecline c, Payment.CancelledWhileCharging) => new PaymentVoided(c.OrderId),
        (PaymentCommand.RecordDecline, Payment.Declined or Payment.Voided) => Nothing,
        (PaymentCommand.RecordDecline, Payment.NotAsked or Payment.Authorized or Payment.RefundDue or Payment.RefundBlocked or Payment.Refunded) =>
            Contradiction(payment, command),

        (PaymentCommand.RecordRefund c, Payment.RefundDue p) => new PaymentRefunded(c.OrderId, c.RefundId, p.Amount),
        // One replica was refused, another not: what was given back is given back.
        (PaymentCommand.RecordRefund c, Payment.RefundBlocked p) => new PaymentRefunded(c.OrderId, c.RefundId, p.Amount),
        (PaymentCommand.RecordRefund, Payment.Refunded) => Nothing,
        (PaymentCommand.RecordRefund, Payment.NotAsked or Payment.Requested or Payment.CancelledWhileCharging or Payment.Authorized) =>
            Contradiction(payment, command),
        (PaymentCommand.RecordRefund, Payment.Declined or Payment.Voided) => Contradiction(payment, command),

        (PaymentCommand.RecordRefundRefusal c, Payment.RefundDue p) => new RefundRefused(c.OrderId, p.ChargeId, c.Reason),
        (PaymentCommand.RecordRefundRefusal, Payment.RefundBlocked or Payment.Refunded) => Nothing,
        (PaymentCommand.RecordRefundRefusal, Payment.NotAsked or Payment.Requested or Payment.CancelledWhileCharging or Payment.Authorized) =>
            Contradiction(payment, command),
        (PaymentCommand.RecordRefundRefusal, Payment.Declined or Payment.Voided) => Contradiction(payment, command),

        (PaymentCommand.RefundAgain c, Payment.RefundBlocked) => new RefundRequested(c.OrderId),
        (PaymentCommand.RefundAgain, Payment.CancelledWhileCharging or Payment.RefundDue or Payment.Refunded) => Nothing,
        (PaymentCommand.RefundAgain c, Payment.NotAsked) => Decision<PaymentEvent>.Refuse(NotFound, $"Order {c.OrderId} has no payment."),
        (PaymentCommand.RefundAgain c, Payment.Requested or Payment.Authorized or Payment.Declined or Payment.Voided) => Decision<PaymentEvent>.Refuse(
            NothingToRefund, $"No refund of order {c.OrderId} was refused. It is refunded when the order is cancelled: POST /orders/{c.OrderId}/cancellation at Ordering."),

        _ => throw new UnreachableException($"A payment that is {payment.GetType().Name} has no answer to {command.GetType().Name}."),
    };

    private static Decision<PaymentEvent> Contradiction(Payment payment, PaymentCommand command) => Decision<PaymentEvent>.Refuse(
        "payment-contradiction",
        $"The payment of order {command.OrderId} is {payment.GetType().Name}; {command.GetType().Name} contradicts that. Compare it with the provider's ledger.");
}
