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
    /// <summary>Each event that matters says all that matters here, whatever went before it.</summary>
    private const long NeededUpTo = 0;

    public async Task HandleAsync(IReadOnlyList<IncomingEvent> delivered, CancellationToken cancellationToken)
    {
        // These change nothing here, so they are not worth the write that notes them as seen.
        IReadOnlyList<IncomingEvent> events = [.. delivered.Where(incoming => incoming.Payload is not (OrderCreated or OrderPaid or OrderShipped))];
        if (events.Count == 0)
        {
            return;
        }

        var orderId = ((OrderEvent)events[0].Payload).OrderId;
        var handled = await store.ConsumeAsync(Payment.Category, orderId, events, Decide, cancellationToken, NeededUpTo);
        if (handled.Stream.State.IsUnsettled)
        {
            await SettleAsync(orderId, handled.Stream.State, cancellationToken);
        }
    }

    private static Decision<PaymentEvent> Decide(Payment payment, IncomingEvent incoming) => incoming.Payload switch
    {
        OrderStockReserved e => PaymentDecider.Decide(payment, new PaymentCommand.Request(e.OrderId, e.Total, e.PaymentMethod)),
        OrderCancelled e => PaymentDecider.Decide(payment, new PaymentCommand.Cancel(e.OrderId)),
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
