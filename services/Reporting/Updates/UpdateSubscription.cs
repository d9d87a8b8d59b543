using System.Threading.Channels;

namespace DaprOrders.Reporting.Updates;

/// <summary>What one client still has to be sent. A client that does not keep up is let go when the queue is full; it comes back and goes on where it was.</summary>
/// <param name="queue">How many updates may wait for the client.</param>
/// <param name="position">What comes first is after this.</param>
/// <param name="isAnew">The client was elsewhere, and what came after that cannot be told.</param>
internal sealed class UpdateSubscription(
    int queue, UpdatePosition position, bool isAnew, Predicate<OrderUpdateView> isWanted, Action<UpdateSubscription> end) : IDisposable
{
    private readonly CancellationTokenSource _dropped = new();
    private readonly Channel<SentUpdate?> _updates = Channel.CreateBounded<SentUpdate?>(new BoundedChannelOptions(queue) { SingleReader = true });

    public UpdatePosition Position => position;

    public bool IsAnew => isAnew;

    /// <summary>Null: nothing happened, which the client is to see.</summary>
    public ChannelReader<SentUpdate?> Updates => _updates.Reader;

    /// <summary>What is being written is given up.</summary>
    public CancellationToken Dropped => _dropped.Token;

    /// <returns>False when the client is too slow.</returns>
    public bool TrySend(SentUpdate update) => !isWanted(update.Update.View) || _updates.Writer.TryWrite(update);

    /// <inheritdoc cref="TrySend"/>
    public bool TryShowLife() => _updates.Writer.TryWrite(null);

    /// <summary>Nothing is to follow.</summary>
    public void Complete()
    {
        end(this);
        _updates.Writer.TryComplete();
    }

    public void Drop()
    {
        _updates.Writer.TryComplete();
        // Not here and now: the feed has others to serve.
        _ = _dropped.CancelAsync();
    }

    // The feed may be about to drop it, so the token source is left alone; it has nothing that must be given back.
    public void Dispose() => end(this);
}
