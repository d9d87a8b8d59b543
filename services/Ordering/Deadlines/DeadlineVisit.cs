using System.Diagnostics;
using DaprOrders.Ordering.Orders;

namespace DaprOrders.Ordering.Deadlines;

/// <summary>
/// What is done about an order at its deadline. Round 1, half-way: an order that is not finished has its last event published again, which
/// heals a message that was lost. Round 2, at the deadline: an unpaid order is cancelled, a paid one nudged further. What has been
/// cancelled is published once more before it is left alone, so that goods and money are given back even when that message was lost.
/// </summary>
/// <param name="Stays">The order is looked at again in the next round.</param>
public readonly record struct DeadlineVisit(bool Nudge, bool Cancel, bool Stays)
{
    /// <summary>A paid order that has not been shipped after so many rounds waits for people, not for a message.</summary>
    public const int LastRound = 8;

    public static DeadlineVisit Of(Order order, int round) => order switch
    {
        Order.NotPlaced or Order.Shipped => default,
        Order.Created or Order.StockReserved when round == 1 => new(Nudge: true, Cancel: false, Stays: true),
        Order.Created or Order.StockReserved => new(Nudge: false, Cancel: true, Stays: true),
        Order.Paid => round < LastRound ? new(Nudge: true, Cancel: false, Stays: true) : default,
        Order.Cancelled => new(Nudge: true, Cancel: false, Stays: false),
        _ => throw new UnreachableException($"{order.GetType().Name} has no deadline rule."),
    };
}
