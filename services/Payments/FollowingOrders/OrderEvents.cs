using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Payments.Payments;
using DaprOrders.Payments.SettlingPayments;

namespace DaprOrders.Payments.FollowingOrders;

/// <summary>Topic <c>orders</c>: an order whose goods are held is to be charged, a cancelled one gets its money back. Nothing here waits for the provider.</summary>
public sealed class OrderEvents(EventStore store, OpenPayments open)
{
    /// <summary>They change nothing here, so they are not worth the write that notes them as seen.</summary>
    public static IReadOnlyCollection<Type> WithoutEffect { get; } = [typeof(OrderCreated), typeof(OrderPaid), typeof(OrderShipped)];

    /// <summary>Each event that matters says all that matters here, whatever went before it.</summary>
    private const long NeededUpTo = 0;

    public async Task HandleAsync(IReadOnlyList<IncomingEvent> delivered, CancellationToken cancellationToken)
    {
        IReadOnlyList<IncomingEvent> events = [.. delivered.Where(incoming => !WithoutEffect.Contains(incoming.Payload.GetType()))];
        if (events.Count == 0)
        {
            return;
        }

        var orderId = ((OrderEvent)events[0].Payload).OrderId;
        // Durable with this: whatever becomes of the provider or of this process, the event log tells that a call is owed.
        var handled = await store.ConsumeAsync(Payment.Category, orderId, events, Decide, cancellationToken, NeededUpTo, likelyNew: events[0].Payload is OrderStockReserved);
        if (handled.Stream.State.IsUnsettled)
        {
            open.AddNew(orderId, handled.Stream);
        }
    }

    private static Decision<PaymentEvent> Decide(Payment payment, IncomingEvent incoming) => incoming.Payload switch
    {
        OrderStockReserved e => PaymentDecider.Decide(payment, new PaymentCommand.Request(e.OrderId, e.Total, e.PaymentMethod)),
        OrderCancelled e => PaymentDecider.Decide(payment, new PaymentCommand.Cancel(e.OrderId)),
        _ => throw new UnknownEventException($"Payments has no answer to {incoming.Recorded.Type} ({incoming.Recorded.Id})."),
    };
}
