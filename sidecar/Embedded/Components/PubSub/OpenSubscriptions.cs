using System.Collections.Concurrent;

namespace EmbeddedSidecar.Components.PubSub;

/// <summary>The subscriptions that a component has given out and has to end with itself. Those that have ended already are forgotten when another one comes.</summary>
internal sealed class OpenSubscriptions
{
    private readonly ConcurrentDictionary<BrokerSubscription, bool> _open = [];

    public void Add(BrokerSubscription subscription)
    {
        foreach (var ended in _open.Keys.Where(one => one.IsEnding))
            _open.TryRemove(ended, out _);
        _open[subscription] = true;
    }

    public Task EndAsync() => Task.WhenAll(_open.Keys.Select(one => one.DisposeAsync().AsTask()));
}
