namespace EmbeddedSidecar.Hosting;

/// <summary>Waits for points in time.</summary>
internal static class Waits
{
    /// <summary>A single wait of a runtime timer may not be longer than about 49 days.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(40);

    /// <summary>Until running work has ended, for daprd's five seconds at most and as far as the token allows. What then still runs has to be given up.</summary>
    public static async Task LetEndAsync(this TimeProvider time, IEnumerable<Task> work, CancellationToken cancellationToken) =>
        await Task.WhenAll(work).WaitAsync(SidecarHost.GracefulStop, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    public static async Task WaitUntilAsync(this TimeProvider time, DateTimeOffset due, CancellationToken cancellationToken)
    {
        while (due - time.GetUtcNow() is { Ticks: > 0 } left)
        {
            // Rounded up to milliseconds, as timers count: never early.
            var wait = left > Longest ? Longest : TimeSpan.FromMilliseconds(Math.Ceiling(left.TotalMilliseconds));
            await Task.Delay(wait, time, cancellationToken);
        }
        // What was cancelled before its time came does not happen, however late the wait began.
        cancellationToken.ThrowIfCancellationRequested();
    }
}
