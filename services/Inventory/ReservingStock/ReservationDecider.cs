using System.Diagnostics;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Inventory.ReservingStock;

public abstract record ReservationCommand(string OrderId)
{
    /// <summary>Every line is held.</summary>
    public sealed record Confirm(string OrderId, IReadOnlyList<ReservedLine> Lines) : ReservationCommand(OrderId);

    /// <summary>At least one line is short.</summary>
    public sealed record Reject(string OrderId, IReadOnlyList<StockShortage> Shortages) : ReservationCommand(OrderId);

    /// <summary>The order was cancelled. <c>Lines</c>: what it asked for.</summary>
    public sealed record Release(string OrderId, IReadOnlyList<ReservedLine> Lines) : ReservationCommand(OrderId);

    /// <summary>The order was shipped.</summary>
    public sealed record Fulfil(string OrderId) : ReservationCommand(OrderId);
}

public static class ReservationDecider
{
    private static readonly Decision<ReservationEvent> Nothing = Decision<ReservationEvent>.Nothing;

    public static Decision<ReservationEvent> Decide(Reservation reservation, ReservationCommand command) => (command, reservation) switch
    {
        (ReservationCommand.Confirm c, Reservation.NotAsked) => new StockReserved(c.OrderId, c.Lines),
        // The first word stands.
        (ReservationCommand.Confirm, Reservation.Reserved or Reservation.Rejected or Reservation.Released or Reservation.Fulfilled) => Nothing,

        (ReservationCommand.Reject c, Reservation.NotAsked) => new StockRejected(c.OrderId, c.Shortages),
        (ReservationCommand.Reject, Reservation.Reserved or Reservation.Rejected or Reservation.Released or Reservation.Fulfilled) => Nothing,

        // The cancellation came first: it is remembered, and nothing is held for the order any more.
        (ReservationCommand.Release c, Reservation.NotAsked) => new ReservationReleased(c.OrderId, c.Lines),
        (ReservationCommand.Release c, Reservation.Reserved r) => new ReservationReleased(c.OrderId, r.Lines),
        (ReservationCommand.Release, Reservation.Rejected or Reservation.Released) => Nothing,
        (ReservationCommand.Release, Reservation.Fulfilled) => Contradiction(reservation, command),

        (ReservationCommand.Fulfil c, Reservation.Reserved) => new ReservationFulfilled(c.OrderId),
        (ReservationCommand.Fulfil, Reservation.Fulfilled) => Nothing,
        (ReservationCommand.Fulfil, Reservation.NotAsked or Reservation.Rejected or Reservation.Released) => Contradiction(reservation, command),

        _ => throw new UnreachableException($"No answer of {reservation} to {command}."),
    };

    private static Decision<ReservationEvent> Contradiction(Reservation reservation, ReservationCommand command) => Decision<ReservationEvent>.Refuse(
        "reservation-contradiction",
        $"The reservation of order {command.OrderId} is {reservation.GetType().Name}; {command.GetType().Name} contradicts that. Compare it with the order's events.");
}
