namespace DaprOrders.EventSourcing;

/// <summary>
/// The event store of one service, over a Dapr state store: every stream commits by one write of one key, guarded by its ETag.
/// </summary>
public sealed class EventStore
{
    /// <summary>The stream folded to its state; version 0 when it does not exist.</summary>
    public Task<StreamState<TState>> LoadAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, string id, CancellationToken cancellationToken)
        where TEvent : class => throw new NotSupportedException();

    /// <summary>The stream as it was after event <paramref name="version"/>; null when it never had that version.</summary>
    public Task<StreamState<TState>?> LoadAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, string id, long version, CancellationToken cancellationToken)
        where TEvent : class => throw new NotSupportedException();

    /// <summary>The events of a stream after <paramref name="after"/>, oldest first; empty when there are none.</summary>
    public Task<IReadOnlyList<RecordedEvent>> ReadStreamAsync(string stream, long after, int limit, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    /// <summary>
    /// Loads, decides, appends; on a conflict it loads and decides again. When it returns, what was decided is durable and will be published.
    /// </summary>
    /// <exception cref="WrongVersionException">The stream is not at the expected version.</exception>
    /// <exception cref="EventStoreUnavailableException">Nothing was acknowledged.</exception>
    public Task<Handled<TState>> HandleAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        Func<TState, Decision<TEvent>> decide,
        CommandContext context,
        CancellationToken cancellationToken)
        where TEvent : class => throw new NotSupportedException();

    /// <summary>
    /// Applies events of one source stream to one of our streams, each exactly once: the position in the source stream is kept in the
    /// same write. Older events are ignored; missing ones are fetched from the publisher and applied first.
    /// </summary>
    /// <param name="events">Of one source stream, in order of version.</param>
    /// <param name="decide">Called for each event that is new here; a refusal is a fault, since an event cannot be refused.</param>
    public Task<Handled<TState>> ConsumeAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        IReadOnlyList<IncomingEvent> events,
        Func<TState, IncomingEvent, Decision<TEvent>> decide,
        CancellationToken cancellationToken)
        where TEvent : class => throw new NotSupportedException();

    /// <summary>Publishes the latest event of a stream once more: heals a message that was lost on its way.</summary>
    public Task RepublishLatestAsync<TState, TEvent>(StreamCategory<TState, TEvent> category, string id, CancellationToken cancellationToken)
        where TEvent : class => throw new NotSupportedException();
}
