using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Publishing;

/// <summary>Hands events to the broker; a call that is not answered in time has failed, and then any of its events may be there.</summary>
internal sealed class Broker(IEventPublisher publisher, EventStoreOptions options, TimeProvider time)
{
    public Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken) => TimeLimit.WithinAsync(
        token => publisher.PublishAsync(topic, events, token),
        options.CallTimeout,
        time,
        $"The publication of {events.Count} events to {topic}, {events[0].Id} first, was not answered within {options.CallTimeout}. Try again later.",
        cancellationToken);
}
