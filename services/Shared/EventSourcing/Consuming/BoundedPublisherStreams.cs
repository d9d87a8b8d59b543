using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing;

/// <summary>A publisher that does not answer is not waited for without end: each read has its time.</summary>
internal sealed class BoundedPublisherStreams(IPublisherStreams inner, TimeSpan timeout, TimeProvider time) : IPublisherStreams
{
    public Task<IReadOnlyList<RecordedEvent>> ReadAsync(string publisher, string stream, long after, int limit, CancellationToken cancellationToken) =>
        TimeLimit.WithinAsync(
            token => inner.ReadAsync(publisher, stream, after, limit, token),
            timeout,
            time,
            exception => new EventStoreUnavailableException(
                $"{publisher} did not tell the missing events of {stream} within {timeout}. Try again later.", exception),
            cancellationToken);
}
