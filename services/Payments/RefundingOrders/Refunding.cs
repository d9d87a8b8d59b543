using DaprOrders.Payments.Payments;
using DaprOrders.Payments.Provider;

namespace DaprOrders.Payments.RefundingOrders;

/// <summary>Gives a cancelled order's charge back, once under the order's key.</summary>
public sealed class Refunding(PaymentProvider provider)
{
    public async Task<PaymentCommand> RefundAsync(string orderId, string chargeId, CancellationToken cancellationToken) =>
        new PaymentCommand.RecordRefund(orderId, await provider.RefundAsync(orderId, chargeId, cancellationToken));
}
