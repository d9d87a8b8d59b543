namespace DaprOrders.EventSourcing;

/// <summary>The event logs of other services, lane by lane: what catching up, aggregates and rebuilds read.</summary>
public interface IPublisherLogs
{
    Task<IReadOnlyList<LogLane>> ReadLanesAsync(string publisher, CancellationToken cancellationToken);

    /// <summary>
    /// The events after a position: whole commits, until <paramref name="limit"/> events are reached. With limit 1 the events of one commit.
    /// </summary>
    Task<LogPage> ReadLaneAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken);

    /// <summary>The streams and versions after a position: whole commits, until <paramref name="limit"/> of them are reached.</summary>
    Task<LogEntries> ReadEntriesAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken);

    /// <summary>Events of many streams: those that exist, of the first ranges at least.</summary>
    Task<StreamEvents> ReadStreamsAsync(string publisher, IReadOnlyList<StreamRange> ranges, CancellationToken cancellationToken);
}
