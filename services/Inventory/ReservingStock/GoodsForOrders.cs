using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.Stock;

namespace DaprOrders.Inventory.ReservingStock;

/// <summary>
/// Topic <c>orders</c>: a new order gets its goods held, all or none; a cancelled one gives them back; a shipped one has taken them.
/// The goods go first, the word follows: what an event of the reservation says of goods is done at every SKU before the event is written. Whoever
/// dies between the two leaves the order's event unhandled, so it comes again, and finds the goods as it left them. An order that is over at an SKU
/// gets nothing there any more, so whoever comes late, from before a decision that others have made since, holds nothing.
/// </summary>
public sealed class GoodsForOrders(EventStore store, StockItems stock)
{
    /// <summary>They change nothing here, so they are not worth the write that notes them as seen.</summary>
    public static IReadOnlyCollection<Type> WithoutEffect { get; } = [typeof(OrderStockReserved), typeof(OrderPaid)];

    /// <summary>An order's first event says what it asks for; of the later ones, those that matter each say all that matters.</summary>
    private const long NeededUpTo = 1;

    public async Task HandleAsync(IReadOnlyList<IncomingEvent> delivered, CancellationToken cancellationToken)
    {
        IReadOnlyList<IncomingEvent> events = [.. delivered.Where(incoming => !WithoutEffect.Contains(incoming.Payload.GetType()))];
        if (events.Count == 0)
        {
            return;
        }

        var orderId = ((OrderEvent)events[0].Payload).OrderId;
        var isCancelled = events.Any(incoming => incoming.Payload is OrderCancelled);
        // By the order's first event, where it is among these; else the reservation has noted it.
        IReadOnlyList<ReservedLine> asked = [];
        await store.ConsumeAsync(Reservation.Category, orderId, events, DecideAsync, cancellationToken, NeededUpTo);

        async Task<Decision<ReservationEvent>> DecideAsync(Reservation reservation, IncomingEvent incoming, CancellationToken token)
        {
            switch (incoming.Payload)
            {
                case OrderCreated order:
                    asked = Reservation.LinesOf(order);
                    return isCancelled ? Decision<ReservationEvent>.Nothing : await ReserveAsync(reservation, orderId, asked, token);
                case OrderCancelled:
                    return await GiveBackAsync(reservation, orderId, asked, token);
                case OrderShipped:
                    return await FulfilAsync(reservation, orderId, token);
                default:
                    throw new UnknownEventException($"Inventory has no answer to {incoming.Recorded.Type} ({incoming.Recorded.Id}).");
            }
        }
    }

    private async Task<Decision<ReservationEvent>> ReserveAsync(
        Reservation reservation, string orderId, IReadOnlyList<ReservedLine> lines, CancellationToken cancellationToken)
    {
        if (reservation is not Reservation.NotAsked)
        {
            return Decision<ReservationEvent>.Nothing;
        }

        var answers = await AskAllAsync(lines, line => new StockCommand.Hold(orderId, line.Quantity), cancellationToken);
        if (answers.All(answer => answer.Done))
        {
            return ReservationDecider.Decide(reservation, new ReservationCommand.Confirm(orderId, lines));
        }

        var shortages = lines.Zip(answers).Where(line => line.Second.IsShort)
            .Select(line => new StockShortage(line.First.Sku, line.First.Quantity, (int)Math.Min(int.MaxValue, line.Second.Available))).ToList();
        if (shortages.Count > 0)
        {
            await AskAllAsync(lines.Where((_, i) => answers[i].Done), _ => new StockCommand.Release(orderId), cancellationToken);
            return ReservationDecider.Decide(reservation, new ReservationCommand.Reject(orderId, shortages));
        }

        // Nothing was short, and yet the order is over at an SKU. Shipped only what is reserved is; so if that is not written, it is cancelled.
        var present = await store.LoadAsync(Reservation.Category, orderId, cancellationToken);
        return present.State is Reservation.NotAsked
            ? await GiveBackAsync(reservation, orderId, lines, cancellationToken)
            : Decision<ReservationEvent>.Nothing;
    }

    private async Task<Decision<ReservationEvent>> GiveBackAsync(
        Reservation reservation, string orderId, IReadOnlyList<ReservedLine> asked, CancellationToken cancellationToken)
    {
        var decision = ReservationDecider.Decide(reservation, new ReservationCommand.Release(orderId, asked));
        foreach (var released in decision.Events.OfType<ReservationReleased>())
        {
            await AskAllAsync(released.Lines, _ => new StockCommand.Release(orderId), cancellationToken);
        }

        return decision;
    }

    private async Task<Decision<ReservationEvent>> FulfilAsync(Reservation reservation, string orderId, CancellationToken cancellationToken)
    {
        if (reservation is Reservation.Reserved reserved)
        {
            await AskAllAsync(reserved.Lines, _ => new StockCommand.Ship(orderId), cancellationToken);
        }

        return ReservationDecider.Decide(reservation, new ReservationCommand.Fulfil(orderId));
    }

    /// <summary>At once, however many lines there are; one answer for each.</summary>
    private Task<StockAnswer[]> AskAllAsync(IEnumerable<ReservedLine> lines, Func<ReservedLine, StockCommand> command, CancellationToken cancellationToken) =>
        Task.WhenAll(lines.Select(line => stock.SendAsync(line.Sku, command(line), cancellationToken)));
}
