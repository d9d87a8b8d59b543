using System.Collections.Concurrent;
using System.Diagnostics;
using DaprOrders.EventSourcing.Metrics;
using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Publishing;

/// <summary>Hands events to the broker; a call that is not answered in time has failed, and then any of its events may be there.</summary>
internal sealed class Broker(IEventPublisher publisher, EventStoreOptions options, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, RecordedEvent> _taken = [];
    private long _tookAt;

    /// <summary>When it last took something, by the clock's timestamp.</summary>
    public long TookAt => Volatile.Read(ref _tookAt);

    public async Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken)
    {
        using var publication = EventTraces.Start($"publish {topic}", ActivityKind.Producer, events);
        try
        {
            await TimeLimit.WithinAsync(
                token => publisher.PublishAsync(topic, events, token),
                options.CallTimeout,
                time,
                $"The publication of {events.Count} events to {topic}, {events[0].Id} first, was not answered within {options.CallTimeout}. Try again later.",
                cancellationToken);
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            StoreMetrics.BrokerFailed(topic);
            throw;
        }

        StoreMetrics.BrokerTook(topic, events.Count);
        _taken[topic] = events[^1];
        Volatile.Write(ref _tookAt, time.GetTimestamp());
    }

    /// <summary>An event of the topic that the broker took, whatever lane it is of: taken once more it shows that the broker works. Consumers ignore it.</summary>
    public RecordedEvent? LastTaken(string topic) => _taken.GetValueOrDefault(topic);
}
