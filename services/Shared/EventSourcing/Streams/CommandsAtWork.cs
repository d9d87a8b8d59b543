namespace DaprOrders.EventSourcing.Streams;

/// <summary>
/// How many commands are at work here. A call that could carry more of them than have come to it waits a moment for the others: commands come in
/// crowds, a delivery of events or buyers at once, and else the first of them would each be a call by itself. A command by itself waits for nobody.
/// </summary>
internal sealed class CommandsAtWork(TimeSpan gatherTime, TimeProvider time)
{
    private int _count;

    public int Count => Volatile.Read(ref _count);

    public int Enter() => Interlocked.Increment(ref _count);

    public void Leave() => Interlocked.Decrement(ref _count);

    /// <summary>A command that waits for others has no call to make meanwhile, so nobody waits for it.</summary>
    public async Task<T> WithoutAsync<T>(Task<T> others)
    {
        if (others.IsCompleted)
        {
            return await others;
        }

        Leave();
        try
        {
            return await others;
        }
        finally
        {
            Enter();
        }
    }

    /// <param name="present">Those that the call would carry.</param>
    /// <param name="most">That it can carry.</param>
    public Task GatherAsync(int present, int most, CancellationToken cancellationToken) =>
        gatherTime > TimeSpan.Zero && present < Math.Min(most, Count) ? Task.Delay(gatherTime, time, cancellationToken) : Task.CompletedTask;
}
