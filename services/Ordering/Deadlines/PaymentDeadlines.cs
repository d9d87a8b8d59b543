using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Dapr;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Orders;
using Microsoft.Extensions.Options;

namespace DaprOrders.Ordering.Deadlines;

/// <summary>How far a lane of Ordering's event log is dealt with.</summary>
/// <param name="Position">Every order that was placed up to here had its deadline, and was paid, or cancelled, or is among <paramref name="Left"/>.</param>
/// <param name="Left">Orders that could not be dealt with, for another reason than a store that was away; they are tried again at each visit.</param>
public sealed record DeadlineCursor(long Position, IReadOnlyList<string> Left)
{
    public static DeadlineCursor Start { get; } = new(0, []);
}

/// <summary>
/// Cancels what was not paid in time. The event log is the registry: it names every order in the order in which they were placed, so nothing is
/// written per order, and nothing is waited for when one is placed.
/// </summary>
public sealed class PaymentDeadlines(EventStore store, IOptions<OrderingOptions> options, TimeProvider time, ILogger<PaymentDeadlines> logger)
{
    private const int EntriesInPage = 1000;
    private const int OrdersAtOnce = 16;

    /// <summary>Beyond it somebody must look first: the cursor waits.</summary>
    private const int MostLeft = 1000;

    private static readonly Meter Meter = new("DaprOrders.Ordering");
    private static readonly Counter<long> PaidNotShipped = Meter.CreateCounter<long>(
        "orders.paid_not_shipped", "{order}", "Orders that were paid, but not shipped, when their payment deadline had passed.");

    /// <summary>Deals with one page of a lane.</summary>
    /// <returns>The cursor as it is then, and whether there may be more to do at once. Null: there is no such lane.</returns>
    /// <exception cref="EventStoreUnavailableException">The store is away; the visit is made again later.</exception>
    public async Task<(DeadlineCursor Cursor, bool HasMore)?> VisitAsync(string lane, DeadlineCursor cursor, CancellationToken cancellationToken)
    {
        if (await store.ReadLogEntriesAsync(lane, cursor.Position, EntriesInPage, cancellationToken) is not { } page)
            return null;

        // A commit that failed and was made again is named twice.
        var placed = page.Entries.Where(entry => entry.From == 1 && Order.Category.IsStream(entry.Stream)).DistinctBy(entry => entry.Stream).ToList();
        var (orders, unreadable) = await store.LoadReadableAsync(
            Order.Category, [.. placed.Select(entry => Order.Category.IdOf(entry.Stream)).Union(cursor.Left)], cancellationToken);
        if (unreadable.Count > 0)
        {
            var (orderId, reason) = unreadable.First();
            logger.LogError(reason, "{Orders} orders, {OrderId} among them, cannot be read: whether they were paid in time is looked at again at each visit", unreadable.Count, orderId);
        }

        var overdueBefore = time.GetUtcNow() - options.Value.PaymentDeadline;
        bool IsYoung(string orderId) => orders.GetValueOrDefault(orderId)?.CreatedAt > overdueBefore;
        var young = placed.FindIndex(entry => IsYoung(Order.Category.IdOf(entry.Stream)));
        var position = young >= 0 ? placed[young].Position - 1 : page.Next;
        if (cursor.Left.Count >= MostLeft)
            position = cursor.Position;

        List<string> due = [.. placed.TakeWhile(entry => entry.Position <= position).Select(entry => Order.Category.IdOf(entry.Stream)).Union(cursor.Left)];
        // One that could not be read when the cursor passed it may turn out to be young.
        var left = due.Where(orderId => unreadable.ContainsKey(orderId) || IsYoung(orderId)).ToList();
        left.AddRange(await EndAsync([.. due.Except(left)], orders, cancellationToken));
        return (new DeadlineCursor(position, left), position > cursor.Position && position < page.Settled && young < 0);
    }

    private async Task<IReadOnlyList<string>> EndAsync(
        IReadOnlyList<string> orderIds, IReadOnlyDictionary<string, StreamState<Order>> orders, CancellationToken cancellationToken)
    {
        var left = new ConcurrentBag<string>();
        var paid = orderIds.Where(orderId => orders.GetValueOrDefault(orderId)?.State is Order.Paid).ToList();
        if (paid.Count > 0)
        {
            PaidNotShipped.Add(paid.Count);
            logger.LogWarning("{Orders} orders, {OrderId} among them, are paid and not shipped at the end of their payment deadline", paid.Count, paid[0]);
        }

        await Parallel.ForEachAsync(
            orderIds.Where(orderId => orders.GetValueOrDefault(orderId)?.State is Order.Created or Order.StockReserved),
            new ParallelOptions { MaxDegreeOfParallelism = OrdersAtOnce, CancellationToken = cancellationToken },
            async (orderId, cancellation) =>
            {
                if (!await TryCancelAsync(orderId, cancellation))
                    left.Add(orderId);
            });
        return [.. left];
    }

    private async Task<bool> TryCancelAsync(string orderId, CancellationToken cancellationToken)
    {
        try
        {
            var handled = await store.HandleAsync(
                Order.Category,
                orderId,
                current => OrderDecider.Decide(current, new OrderCommand.CancelUnpaid(orderId)),
                new CommandContext(CausationId: "payment-deadline"),
                cancellationToken);
            if (handled.Appended.Count > 0)
                logger.LogInformation("Order {OrderId} was not paid in time and is cancelled", orderId);
            return true;
        }
        catch (Exception exception) when (exception is not (EventStoreUnavailableException or DaprException or OperationCanceledException))
        {
            logger.LogError(exception, "Order {OrderId} is unpaid at its deadline and cannot be cancelled; it is tried again", orderId);
            return false;
        }
    }
}
