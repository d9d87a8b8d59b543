namespace DaprOrders.EventSourcing;

/// <summary>Reads a stream of another service: how a consumer gets the events that a topic did not deliver.</summary>
public interface IPublisherStreams
{
    /// <summary>Events <paramref name="after"/>+1.. of the stream, at most <paramref name="limit"/>.</summary>
    Task<IReadOnlyList<RecordedEvent>> ReadAsync(string publisher, string stream, long after, int limit, CancellationToken cancellationToken);
}
