using DaprOrders.EventSourcing;

namespace DaprOrders.Ordering.Tests.Running;

/// <summary>Stands where the broker would be, and remembers.</summary>
public sealed class PublishedEvents : IEventPublisher
{
    private readonly Lock _lock = new();
    private readonly List<RecordedEvent> _events = [];
    private TaskCompletionSource _changed = NewSignal();

    public Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken)
    {
        Assert.Equal("orders", topic);
        lock (_lock)
        {
            _events.AddRange(events);
            _changed.SetResult();
            _changed = NewSignal();
        }

        return Task.CompletedTask;
    }

    /// <summary>The types of an order's published events, once <paramref name="isEnough"/> of them.</summary>
    public async Task<IReadOnlyList<string>> OfOrderAsync(string orderId, Func<IReadOnlyList<string>, bool> isEnough)
    {
        while (true)
        {
            Task changed;
            lock (_lock)
            {
                string[] types = [.. _events.Where(e => e.Stream == $"order-{orderId}").Select(e => e.Type)];
                if (isEnough(types))
                    return types;
                changed = _changed.Task;
            }

            await changed.WaitAsync(TestContext.Current.CancellationToken);
        }
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
