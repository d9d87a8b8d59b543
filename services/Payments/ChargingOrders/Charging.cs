using DaprOrders.Contracts;
using DaprOrders.Payments.Payments;
using DaprOrders.Payments.Provider;

namespace DaprOrders.Payments.ChargingOrders;

/// <summary>Charges an order, or finds out what an earlier call did: under the order's key the provider charges once.</summary>
public sealed class Charging(PaymentProvider provider)
{
    public async Task<PaymentCommand> ChargeAsync(string orderId, Money amount, string paymentMethod, CancellationToken cancellationToken) =>
        await provider.ChargeAsync(orderId, amount, paymentMethod, cancellationToken) switch
        {
            ChargeOutcome.Charged charged => new PaymentCommand.RecordCharge(orderId, charged.ChargeId),
            ChargeOutcome.Declined declined => new PaymentCommand.RecordDecline(orderId, declined.Reason),
            var other => throw new InvalidOperationException($"No such outcome of a charge: {other}."),
        };
}
