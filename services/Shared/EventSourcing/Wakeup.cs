using System.Threading.Channels;

namespace DaprOrders.EventSourcing;

/// <summary>Tells one waiter that there is work; what is told while nobody waits is not lost, and told twice counts once.</summary>
public sealed class Wakeup
{
    private readonly Channel<bool> _signal = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite, SingleReader = true });

    public void Set() => _signal.Writer.TryWrite(true);

    public async Task WaitAsync(CancellationToken cancellationToken) => await _signal.Reader.ReadAsync(cancellationToken);

    /// <summary>Ends at the signal or after <paramref name="atMost"/>.</summary>
    public async Task WaitAsync(TimeSpan atMost, TimeProvider time, CancellationToken cancellationToken)
    {
        using var limit = time.CreateTimer(_ => Set(), null, atMost, Timeout.InfiniteTimeSpan);
        await WaitAsync(cancellationToken);
    }
}
