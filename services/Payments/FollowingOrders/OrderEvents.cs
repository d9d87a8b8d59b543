using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Payments.Payments;
using DaprOrders.Payments.SettlingPayments;
using Microsoft.Extensions.Options;

namespace DaprOrders.Payments.FollowingOrders;

/// <summary>Topic <c>orders</c>: an order whose goods are held is charged, a cancelled one gets its money back.</summary>
public sealed class OrderEvents(
    EventStore store, Settlement settlement, UnsettledPayments unsettled, IOptions<PaymentsOptions> options, TimeProvider time, ILogger<OrderEvents> logger)
{
    public async Task HandleAsync(IReadOnlyList<IncomingEvent> events, CancellationToken cancellationToken)
    {
        // What follows from our own events is not worth the write that notes it as seen: should a cancellation follow it, it is fetched.
        if (events.All(incoming => incoming.Payload is OrderPaid or OrderShipped))
        {
            return;
        }

        var orderId = ((OrderEvent)events[0].Payload).OrderId;
        var handled = await store.ConsumeAsync(Payment.Category, orderId, events, Decide, cancellationToken);
        if (handled.Stream.State.IsUnsettled)
        {
            await SettleAsync(orderId, handled.Stream.State, cancellationToken);
        }
    }

    private static Decision<PaymentEvent> Decide(Payment payment, IncomingEvent incoming) => incoming.Payload switch
    {
        OrderStockReserved e => PaymentDecider.Decide(payment, new PaymentCommand.Request(e.OrderId, e.Total, e.PaymentMethod)),
        OrderCancelled e => PaymentDecider.Decide(payment, new PaymentCommand.Cancel(e.OrderId)),
        OrderCreated or OrderPaid or OrderShipped => Decision<PaymentEvent>.Nothing,
        _ => throw new UnknownEventException($"Payments has no answer to {incoming.Recorded.Type} ({incoming.Recorded.Id})."),
    };

    /// <summary>The usual payment is settled within the delivery. A slow one is noted instead, so that its neighbours in the delivery need not wait.</summary>
    private async Task SettleAsync(string orderId, Payment payment, CancellationToken cancellationToken)
    {
        var settling = settlement.SettleAsync(orderId, payment);
        using var done = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (await Task.WhenAny(settling, Task.Delay(options.Value.SlowAfter, time, done.Token)) == settling)
        {
            await done.CancelAsync();
            await settling;
            return;
        }

        _ = LogFailureAsync(orderId, settling);
        await unsettled.AddAsync(orderId, cancellationToken);
    }

    private async Task LogFailureAsync(string orderId, Task settling)
    {
        try
        {
            await settling;
        }
        catch (Exception exception)
        {
            logger.LogWarning(exception, "The payment of order {OrderId} could not be settled yet; it is taken up again", orderId);
        }
    }
}
