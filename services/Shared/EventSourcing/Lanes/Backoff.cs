namespace DaprOrders.EventSourcing.Lanes;

/// <summary>Waits between the tries of a call that must succeed some time: longer and longer, up to a limit, 5 s where none is given.</summary>
internal sealed class Backoff(TimeProvider time, TimeSpan? longest = null)
{
    private readonly TimeSpan _longest = longest ?? TimeSpan.FromSeconds(5);

    /// <summary>The next wait.</summary>
    public TimeSpan Delay { get; private set; } = LaneStorage.RetryDelay;

    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        await Task.Delay(Delay, time, cancellationToken);
        Delay = Delay * 2 < _longest ? Delay * 2 : _longest;
    }

    public void Reset() => Delay = LaneStorage.RetryDelay;
}
