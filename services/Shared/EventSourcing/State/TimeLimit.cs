namespace DaprOrders.EventSourcing.State;

/// <summary>Nothing is waited for without end, whatever others do; the time is taken by the given clock.</summary>
internal static class TimeLimit
{
    /// <summary>Waits for what completes the source, which itself fails when the time is up or the caller gives up.</summary>
    /// <exception cref="EventStoreUnavailableException">The time is up; its message is <paramref name="otherwise"/>, made only then.</exception>
    public static async Task<T> WithinAsync<T>(
        this TaskCompletionSource<T> source, TimeSpan timeout, TimeProvider time, Func<string> otherwise, CancellationToken cancellationToken)
    {
        using var cancelled = cancellationToken.UnsafeRegister(
            static (source, token) => ((TaskCompletionSource<T>)source!).TrySetCanceled(token), source);
        using var late = time.CreateTimer(
            _ => source.TrySetException(new EventStoreUnavailableException(otherwise())), null, timeout, Timeout.InfiniteTimeSpan);
        return await source.Task;
    }

    /// <summary>Makes a call, which is cancelled when the time is up or the caller gives up.</summary>
    /// <exception cref="EventStoreUnavailableException">The time is up; its message is <paramref name="otherwise"/>.</exception>
    public static Task WithinAsync(
        Func<CancellationToken, Task> call, TimeSpan timeout, TimeProvider time, string otherwise, CancellationToken cancellationToken) => WithinAsync(
            async token =>
            {
                await call(token);
                return true;
            },
            timeout,
            time,
            exception => new EventStoreUnavailableException(otherwise, exception),
            cancellationToken);

    /// <summary>The same with an answer, and with the caller's own exception for when the time is up.</summary>
    public static async Task<T> WithinAsync<T>(
        Func<CancellationToken, Task<T>> call, TimeSpan timeout, TimeProvider time, Func<Exception, Exception> otherwise, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await call(either.Token);
        }
        catch (Exception exception) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw otherwise(exception);
        }
    }
}
