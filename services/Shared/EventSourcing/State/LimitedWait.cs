namespace DaprOrders.EventSourcing.State;

internal static class LimitedWait
{
    /// <summary>Waits for what completes the source, which itself fails when the time is up, by the given clock, or the caller gives up.</summary>
    /// <exception cref="EventStoreUnavailableException">The time is up; its message is <paramref name="otherwise"/>.</exception>
    public static async Task<T> WithinAsync<T>(
        this TaskCompletionSource<T> source, TimeSpan timeout, TimeProvider time, string otherwise, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(timeout, time);
        using var late = limit.Token.Register(() => source.TrySetException(new EventStoreUnavailableException(otherwise)));
        using var cancelled = cancellationToken.Register(() => source.TrySetCanceled(cancellationToken));
        return await source.Task;
    }
}
