using System.Diagnostics;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Orders;

namespace DaprOrders.Ordering.Deadlines;

/// <summary>
/// What is done about an order at its deadline. Round 1, half-way: an order that is not finished has its last event published again, which
/// heals a message that was lost. Round 2, at the deadline: an unpaid order is cancelled, a paid one nudged further. What was cancelled is
/// published once more before it is left alone, and what was shipped until Inventory has booked it out, so that goods and money are
/// right even when the last message was the one that got lost.
/// </summary>
/// <param name="Stays">The order is looked at again in the next round.</param>
public readonly record struct DeadlineVisit(bool Nudge, bool Cancel, bool Stays)
{
    /// <summary>What is still open after so many rounds waits for people, not for a message.</summary>
    public const int LastRound = 8;

    // Inventory's stream of an order that was shipped: reserved, fulfilled.
    private const long BookedOut = 2;

    private static readonly DeadlineVisit Leave = new(Nudge: false, Cancel: false, Stays: false);
    private static readonly DeadlineVisit NudgeAndLeave = new(Nudge: true, Cancel: false, Stays: false);
    private static readonly DeadlineVisit NudgeAndStay = new(Nudge: true, Cancel: false, Stays: true);
    private static readonly DeadlineVisit CancelAndStay = new(Nudge: false, Cancel: true, Stays: true);

    public static DeadlineVisit Of(StreamState<Order> stream, int round) => stream.State switch
    {
        Order.NotPlaced => Leave,
        Order.Created or Order.StockReserved => round == 1 ? NudgeAndStay : CancelAndStay,
        Order.Paid => round < LastRound ? NudgeAndStay : Leave,
        Order.Shipped o => IsBookedOut(stream, o) || round >= LastRound ? Leave : NudgeAndStay,
        Order.Cancelled => NudgeAndLeave,
        var other => throw new UnreachableException($"{other.GetType().Name} has no deadline rule."),
    };

    private static bool IsBookedOut(StreamState<Order> stream, Order.Shipped order) =>
        stream.Positions.GetValueOrDefault($"reservation-{order.Terms.OrderId}") >= BookedOut;
}
