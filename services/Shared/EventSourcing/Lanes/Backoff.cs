namespace DaprOrders.EventSourcing.Lanes;

/// <summary>Waits between the tries of a call that must succeed some time: longer and longer, up to 5 s.</summary>
internal sealed class Backoff(TimeProvider time)
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(5);

    /// <summary>The next wait.</summary>
    public TimeSpan Delay { get; private set; } = LaneStorage.RetryDelay;

    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        await Task.Delay(Delay, time, cancellationToken);
        Delay = Delay * 2 < Longest ? Delay * 2 : Longest;
    }

    public void Reset() => Delay = LaneStorage.RetryDelay;
}
