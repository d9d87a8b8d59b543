namespace DaprOrders.EventSourcing;

/// <summary>Hands events to the broker. When it returns, every one of them is there; when it throws, any of them may be.</summary>
public interface IEventPublisher
{
    Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken);
}
