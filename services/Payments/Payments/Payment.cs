using System.Diagnostics;
using System.Text.Json.Serialization;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Payments.Payments;

/// <summary>
/// What a payment's events amount to. <c>Requested</c>, <c>CancelledWhileCharging</c> and <c>RefundDue</c> owe a call to the provider;
/// the call's outcome leads on. <c>Declined</c>, <c>Voided</c> and <c>Refunded</c> are final; <c>RefundBlocked</c> waits for people.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "status")]
[JsonDerivedType(typeof(NotAsked), "notAsked")]
[JsonDerivedType(typeof(Requested), "requested")]
[JsonDerivedType(typeof(CancelledWhileCharging), "cancelledWhileCharging")]
[JsonDerivedType(typeof(Authorized), "authorized")]
[JsonDerivedType(typeof(RefundDue), "refundDue")]
[JsonDerivedType(typeof(RefundBlocked), "refundBlocked")]
[JsonDerivedType(typeof(Refunded), "refunded")]
[JsonDerivedType(typeof(Declined), "declined")]
[JsonDerivedType(typeof(Voided), "voided")]
public abstract record Payment
{
    private Payment()
    {
    }

    public static StreamCategory<Payment, PaymentEvent> Category { get; } = new("payment", "payments", new NotAsked(), Evolve);

    /// <summary>The order's goods are not held yet, as far as is known here.</summary>
    public sealed record NotAsked : Payment;

    /// <summary>The provider may be charging, or may have charged: its answer is not known.</summary>
    public sealed record Requested(Money Amount, string PaymentMethod) : Payment;

    /// <summary>Like <see cref="Requested"/>, but the order is cancelled: what was charged goes back.</summary>
    public sealed record CancelledWhileCharging(Money Amount, string PaymentMethod) : Payment;

    public sealed record Authorized(string ChargeId, Money Amount) : Payment;

    public sealed record RefundDue(string ChargeId, Money Amount) : Payment;

    /// <summary>The provider will not give the charge back, and asking again will not change that by itself.</summary>
    public sealed record RefundBlocked(string ChargeId, Money Amount) : Payment;

    public sealed record Refunded(string ChargeId, Money Amount) : Payment;

    public sealed record Declined : Payment;

    /// <summary>Nothing was charged, and nothing will be.</summary>
    public sealed record Voided : Payment;

    /// <summary>Whether a call to the provider is owed.</summary>
    [JsonIgnore]
    public bool IsUnsettled => this is Requested or CancelledWhileCharging or RefundDue;

    public static Payment Evolve(Payment payment, PaymentEvent happened) => (payment, happened) switch
    {
        (NotAsked, PaymentRequested e) => new Requested(e.Amount, e.PaymentMethod),
        (NotAsked or CancelledWhileCharging, PaymentVoided) => new Voided(),
        (Requested p, RefundRequested) => new CancelledWhileCharging(p.Amount, p.PaymentMethod),
        (Requested, PaymentAuthorized e) => new Authorized(e.ChargeId, e.Amount),
        (Requested, PaymentDeclined) => new Declined(),
        (CancelledWhileCharging, PaymentAuthorized e) => new RefundDue(e.ChargeId, e.Amount),
        (Authorized p, RefundRequested) => new RefundDue(p.ChargeId, p.Amount),
        (RefundDue p, PaymentRefunded) => new Refunded(p.ChargeId, p.Amount),
        (RefundDue p, RefundRefused) => new RefundBlocked(p.ChargeId, p.Amount),
        (RefundBlocked p, RefundRequested) => new RefundDue(p.ChargeId, p.Amount),
        (RefundBlocked p, PaymentRefunded) => new Refunded(p.ChargeId, p.Amount),
        _ => throw new UnreachableException($"{happened.GetType().Name} cannot follow in the stream of a payment that is {payment.GetType().Name}."),
    };
}
