using Dapr.Actors;
using Dapr.Actors.Runtime;
using DaprOrders.EventSourcing;
using Microsoft.Extensions.Options;

namespace DaprOrders.Ordering.Deadlines;

/// <summary>Looks after the payment deadlines of one lane of Ordering's event log; its id is the lane's name.</summary>
public interface IDeadlineActor : IActor
{
    /// <summary>From now on the lane is visited, whatever becomes of who asked. Asked again, it is visited soon.</summary>
    Task WatchAsync();
}

/// <summary>
/// One periodic reminder and one cursor for all orders of a lane. Two hosts may run it for a moment: they cancel the same orders, once, and
/// whichever cursor stands, nothing before it is left undone.
/// </summary>
public sealed class DeadlineActor(ActorHost host, PaymentDeadlines deadlines, IOptions<OrderingOptions> options, ILogger<DeadlineActor> logger)
    : Actor(host), IDeadlineActor, IRemindable
{
    internal const string Reminder = "payment-deadline";
    private const string Cursor = "cursor";

    /// <summary>
    /// After so many pages the next visit goes on, since a call of the sidecar should end. Some 100,000 orders: more than come between two visits.
    /// </summary>
    private const int MostPages = 500;

    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(1);

    public Task WatchAsync() => RegisterReminderAsync(Reminder, null, Soon, options.Value.VisitEvery);

    public async Task ReceiveReminderAsync(string reminderName, byte[] state, TimeSpan dueTime, TimeSpan period)
    {
        // What another host may have written since this one looked.
        await StateManager.ClearCacheAsync();
        try
        {
            for (var (page, hasMore) = (0, true); hasMore && page < MostPages; page++)
                hasMore = await VisitAsync();
        }
        catch (EventStoreUnavailableException exception)
        {
            logger.LogWarning("The payment deadlines of lane {Lane} could not be looked after; the next visit does it: {Error}", Id.GetId(), exception.Message);
        }
    }

    // Saved page by page, so that a visit that dies goes on where it was.
    private async Task<bool> VisitAsync()
    {
        var cursor = (await StateManager.TryGetStateAsync<DeadlineCursor>(Cursor)).Value ?? DeadlineCursor.Start;
        if (await deadlines.VisitAsync(Id.GetId(), cursor, CancellationToken.None) is not var (moved, hasMore))
        {
            await UnregisterReminderAsync(Reminder);
            return false;
        }

        if (moved.Position != cursor.Position || !moved.Left.SequenceEqual(cursor.Left))
        {
            await StateManager.SetStateAsync(Cursor, moved);
            await StateManager.SaveStateAsync();
        }

        return hasMore;
    }
}
