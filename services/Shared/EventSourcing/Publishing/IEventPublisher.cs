namespace DaprOrders.EventSourcing;

/// <summary>Hands events, at most 200 and 2 MiB of them, to the broker. When it returns, every one of them is there; when it throws, any of them may be.</summary>
public interface IEventPublisher
{
    Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken);
}
