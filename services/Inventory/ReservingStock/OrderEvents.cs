using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.Stock;

namespace DaprOrders.Inventory.ReservingStock;

/// <summary>
/// Topic <c>orders</c>: a new order gets its goods held, all or none; a cancelled one gives them back; a shipped one has taken them.
/// Two deliveries of one order may run at once, here or in another instance. So what is held is only an attempt until the reservation's own
/// stream says so, and after that whatever the stream does not grant is given back. Every step may be repeated after a crash.
/// </summary>
public sealed class OrderEvents(EventStore store, StockItems stock)
{
    /// <summary>An order's first event says what it asks for; of the later ones, those that matter each say all that matters.</summary>
    private const long NeededUpTo = 1;

    public async Task HandleAsync(IReadOnlyList<IncomingEvent> delivered, CancellationToken cancellationToken)
    {
        // These change nothing here, so they are not worth the write that notes them as seen.
        IReadOnlyList<IncomingEvent> events = [.. delivered.Where(incoming => incoming.Payload is not (OrderStockReserved or OrderPaid))];
        if (events.Count == 0)
        {
            return;
        }

        var orderId = ((OrderEvent)events[0].Payload).OrderId;
        var created = events.Select(incoming => incoming.Payload).OfType<OrderCreated>().FirstOrDefault();
        var cancelled = events.Any(incoming => incoming.Payload is OrderCancelled);
        var shipped = events.Any(incoming => incoming.Payload is OrderShipped);

        var before = created is not null || shipped ? (await store.LoadAsync(Reservation.Category, orderId, cancellationToken)).State : null;
        var attempt = created is not null && !cancelled && before is Reservation.NotAsked ? await TryHoldAsync(created, cancellationToken) : null;
        if (shipped && before is Reservation.Reserved reserved)
        {
            // Before it is recorded: what is still held for a fulfilled order was held in error.
            await SendToAllAsync(reserved.Lines, new StockCommand.Ship(orderId), cancellationToken);
        }

        var handled = await store.ConsumeAsync(Reservation.Category, orderId, events, Decide, cancellationToken, NeededUpTo);
        await SendToAllAsync(ToRelease(handled, created, attempt, cancelled), new StockCommand.Release(orderId), cancellationToken);

        Decision<ReservationEvent> Decide(Reservation reservation, IncomingEvent incoming)
        {
            switch (incoming.Payload)
            {
                case OrderCreated e:
                    created = e;
                    return attempt is not null ? ReservationDecider.Decide(reservation, attempt.Outcome)
                        : cancelled ? Decision<ReservationEvent>.Nothing
                        : throw new InvalidOperationException($"Order {orderId} has moved on, but its goods were never asked for: its first event is still to come.");
                case OrderCancelled:
                    return ReservationDecider.Decide(reservation, new ReservationCommand.Release(orderId, created is null ? [] : Reservation.LinesOf(created)));
                case OrderShipped:
                    return ReservationDecider.Decide(reservation, new ReservationCommand.Fulfil(orderId));
                default:
                    throw new UnknownEventException($"Inventory has no answer to {incoming.Recorded.Type} ({incoming.Recorded.Id}).");
            }
        }
    }

    /// <summary>Holds line by line, until one is short.</summary>
    private async Task<HoldAttempt> TryHoldAsync(OrderCreated order, CancellationToken cancellationToken)
    {
        var lines = Reservation.LinesOf(order);
        for (var i = 0; i < lines.Count; i++)
        {
            var line = lines[i];
            var answer = await stock.SendAsync(line.Sku, new StockCommand.Hold(order.OrderId, line.Quantity), cancellationToken);
            if (!answer.Done)
            {
                var shortage = new StockShortage(line.Sku, line.Quantity, (int)Math.Min(int.MaxValue, answer.Available));
                return new HoldAttempt(new ReservationCommand.Reject(order.OrderId, [shortage]), [.. lines.Take(i)]);
            }
        }

        return new HoldAttempt(new ReservationCommand.Confirm(order.OrderId, lines), lines);
    }

    /// <summary>What may be held although the reservation's stream does not grant it.</summary>
    private static IReadOnlyList<ReservedLine> ToRelease(Handled<Reservation> handled, OrderCreated? created, HoldAttempt? attempt, bool cancelled) => handled.Stream.State switch
    {
        // Cancelled now, or before its goods were asked for, or an earlier delivery did not come to this point.
        Reservation.Released released when cancelled || created is not null => released.Lines,
        Reservation.Rejected when attempt is not null => attempt.Held,
        Reservation.Rejected when created is not null && !cancelled => Reservation.LinesOf(created),
        Reservation.Fulfilled when attempt is not null => attempt.Held,
        _ => [],
    };

    private async Task SendToAllAsync(IReadOnlyList<ReservedLine> lines, StockCommand command, CancellationToken cancellationToken) =>
        await Task.WhenAll(lines.Select(line => stock.SendAsync(line.Sku, command, cancellationToken)));

    /// <summary>What an attempt leads to, and the lines that it got.</summary>
    private sealed record HoldAttempt(ReservationCommand Outcome, IReadOnlyList<ReservedLine> Held);
}
