using Dapr.Actors;
using Dapr.Actors.Runtime;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Orders;
using Microsoft.Extensions.Options;

namespace DaprOrders.Ordering.Deadlines;

/// <summary>The orders that one replica took in one span of time, and what becomes of those that are not paid.</summary>
public interface IDeadlineActor : IActor
{
    /// <summary>Keeps the orders of one batch until they are done. The same batch may come again.</summary>
    Task RegisterAsync(DeadlineBatch batch);
}

/// <param name="Number">1, 2, 3, ... of this actor; the orders are kept under it.</param>
/// <param name="FirstVisit">When they are looked at for the first time.</param>
public sealed record DeadlineBatch(int Number, DateTimeOffset FirstVisit, IReadOnlyList<string> OrderIds);

/// <summary>
/// One reminder for all of its orders. It is periodic, because a one-shot reminder whose call fails too often is gone; it is removed when
/// nothing is left to do. Only one replica registers here, one batch after the other, and the reminder's own state is under other keys:
/// so no write ever meets another, even when two hosts run this actor for a moment.
/// </summary>
public sealed class DeadlineActor(
    ActorHost host, EventStore store, IOptions<OrderingOptions> options, TimeProvider time, ILogger<DeadlineActor> logger)
    : Actor(host), IDeadlineActor, IRemindable
{
    internal const string Reminder = "payment-deadline";
    private const string Batches = "batches";
    private const string LastRound = "last-round";
    private const int OrdersAtOnce = 16;

    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(1);

    public async Task RegisterAsync(DeadlineBatch batch)
    {
        var registered = await StateManager.TryGetStateAsync<int>(Batches);
        if (!registered.HasValue)
        {
            var wait = batch.FirstVisit - time.GetUtcNow();
            await RegisterReminderAsync(Reminder, null, wait > Soon ? wait : Soon, options.Value.VisitEvery);
        }

        await StateManager.SetStateAsync(BatchKey(batch.Number), batch.OrderIds.ToArray());
        await StateManager.SetStateAsync(Batches, Math.Max(registered.Value, batch.Number));
    }

    public async Task ReceiveReminderAsync(string reminderName, byte[] state, TimeSpan dueTime, TimeSpan period)
    {
        // What another host may have written since this one looked.
        await StateManager.ClearCacheAsync();

        var last = (await StateManager.TryGetStateAsync<Round>(LastRound)).Value;
        if (last is not null && time.GetUtcNow() - last.EndedAt < options.Value.VisitEvery / 2)
            return; // Two ticks came at once, after a standstill: whoever was nudged gets time to answer.

        var round = (last?.Number ?? 0) + 1;
        var batches = (await StateManager.TryGetStateAsync<int>(Batches)).Value;
        var left = 0;
        for (var number = 1; number <= batches; number++)
            left += await VisitAsync(number, round);

        if (left > 0)
        {
            await StateManager.SetStateAsync(LastRound, new Round(round, time.GetUtcNow()));
            return;
        }

        await UnregisterReminderAsync(Reminder);
        await StateManager.TryRemoveStateAsync(Batches);
        await StateManager.TryRemoveStateAsync(LastRound);
    }

    // Saved batch by batch, so that a visit that dies goes on where it was.
    private async Task<int> VisitAsync(int number, int round)
    {
        var orderIds = (await StateManager.TryGetStateAsync<string[]>(BatchKey(number))).Value ?? [];
        if (orderIds.Length == 0)
            return 0;

        var stays = new bool[orderIds.Length];
        await Parallel.ForAsync(
            0,
            orderIds.Length,
            new ParallelOptions { MaxDegreeOfParallelism = OrdersAtOnce },
            async (i, cancellationToken) => stays[i] = await VisitAsync(orderIds[i], round, cancellationToken));

        string[] left = [.. orderIds.Where((_, i) => stays[i])];
        if (left.Length == 0)
            await StateManager.TryRemoveStateAsync(BatchKey(number));
        else
            await StateManager.SetStateAsync(BatchKey(number), left);
        await StateManager.SaveStateAsync();
        return left.Length;
    }

    private async Task<bool> VisitAsync(string orderId, int round, CancellationToken cancellationToken)
    {
        var stream = await store.LoadAsync(Order.Category, orderId, cancellationToken);
        var visit = DeadlineVisit.Of(stream, round);
        if (visit.Nudge)
        {
            logger.LogInformation("Order {OrderId} is {Status} at its deadline, round {Round}: published again", orderId, stream.State.GetType().Name, round);
            await store.RepublishLatestAsync(Order.Category, orderId, cancellationToken);
        }

        if (visit.Cancel)
        {
            var handled = await store.HandleAsync(
                Order.Category,
                orderId,
                current => OrderDecider.Decide(current, new OrderCommand.CancelUnpaid(orderId)),
                new CommandContext(CausationId: $"deadline-{Id}"),
                cancellationToken);
            if (handled.Appended.Count > 0)
                logger.LogInformation("Order {OrderId} was not paid in time and is cancelled", orderId);
        }

        return visit.Stays;
    }

    private static string BatchKey(int number) => $"batch-{number}";

    private sealed record Round(int Number, DateTimeOffset EndedAt);
}
