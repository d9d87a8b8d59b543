namespace DaprOrders.Console.Orders;

/// <summary>Does something when it is asked for, but only so often: what is asked for meanwhile is done once, when the time is over.</summary>
/// <remarks>To be asked by one thread at a time, as a component's are.</remarks>
internal sealed class Pace(TimeSpan atMostEvery, TimeProvider time, Func<Task> act, CancellationToken cancellationToken)
{
    private long? _actedAt;
    private bool _isDue;

    public async Task AskAsync()
    {
        if (_isDue)
            return;
        if (_actedAt is { } at && atMostEvery - time.GetElapsedTime(at) is var left && left > TimeSpan.Zero)
        {
            _isDue = true;
            await Task.Delay(left, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            _isDue = false;
        }

        if (cancellationToken.IsCancellationRequested)
            return;
        _actedAt = time.GetTimestamp();
        await act();
    }
}
