using System.Diagnostics;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Payments.Payments;
using DaprOrders.Payments.Provider;

namespace DaprOrders.Payments.SettlingPayments;

/// <summary>
/// Calls the provider for what a payment owes and appends the outcome, until it owes nothing. Any instance may do so at any time, and again
/// after a crash: the provider acts once under a key, and the stream takes an outcome once.
/// </summary>
public sealed class Settlement(EventStore store, PaymentProvider provider, ILogger<Settlement> logger)
{
    /// <returns>The version of the payment's stream when it owed nothing any more.</returns>
    /// <exception cref="UnclearOutcomeException">The provider gave no clear answer.</exception>
    public async Task<long> SettleAsync(OpenPayment open, CancellationToken cancellationToken)
    {
        var orderId = open.OrderId;
        // What is known may be old by now. It owed the call, though, and the outcome is decided on what the payment is then.
        var payment = open.Known ?? await store.LoadAsync(Payment.Category, orderId, cancellationToken);
        using var settling = EventTraces.Start("settle payment", ActivityKind.Internal, payment);
        while (payment.State.IsUnsettled)
        {
            var outcome = await CallProviderAsync(orderId, payment.State, cancellationToken);
            var handled = await store.HandleAsync(
                Payment.Category, orderId, present => PaymentDecider.Decide(present, outcome), new CommandContext(), cancellationToken);
            if (handled.Refusal is { } refusal)
            {
                throw new InvalidOperationException(refusal.Reason);
            }

            payment = handled.Stream;
        }

        return payment.Version;
    }

    private async Task<PaymentCommand> CallProviderAsync(string orderId, Payment payment, CancellationToken cancellationToken) => payment switch
    {
        Payment.Requested p => await ChargeAsync(orderId, p.Amount, p.PaymentMethod, cancellationToken),
        Payment.CancelledWhileCharging p => await ChargeAsync(orderId, p.Amount, p.PaymentMethod, cancellationToken),
        Payment.RefundDue p => await RefundAsync(orderId, p.ChargeId, cancellationToken),
        _ => throw new UnreachableException($"A payment that is {payment.GetType().Name} owes no call."),
    };

    /// <summary>Charges, or finds out what an earlier call did.</summary>
    private async Task<PaymentCommand> ChargeAsync(string orderId, Money amount, string paymentMethod, CancellationToken cancellationToken) =>
        await provider.ChargeAsync(orderId, amount, paymentMethod, cancellationToken) switch
        {
            ChargeOutcome.Charged charged => new PaymentCommand.RecordCharge(orderId, charged.ChargeId),
            ChargeOutcome.Declined declined => new PaymentCommand.RecordDecline(orderId, declined.Reason),
            var other => throw new UnreachableException($"A charge has no outcome {other.GetType().Name}."),
        };

    private async Task<PaymentCommand> RefundAsync(string orderId, string chargeId, CancellationToken cancellationToken)
    {
        switch (await provider.RefundAsync(orderId, chargeId, cancellationToken))
        {
            case RefundOutcome.Refunded refunded:
                return new PaymentCommand.RecordRefund(orderId, refunded.RefundId);
            case RefundOutcome.Refused refused:
                logger.LogError(
                    "The provider will not refund order {OrderId} (charge {ChargeId}): {Reason}. When that is seen to, POST /payments/.../refund asks again",
                    orderId, chargeId, refused.Reason);
                return new PaymentCommand.RecordRefundRefusal(orderId, refused.Reason);
            case var other:
                throw new UnreachableException($"A refund has no outcome {other.GetType().Name}.");
        }
    }
}
