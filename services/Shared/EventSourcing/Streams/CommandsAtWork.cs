namespace DaprOrders.EventSourcing.Streams;

/// <summary>
/// How many commands are at work here. A call that could carry more of them than have come to it waits a moment for the others: commands come in
/// crowds, a delivery of events or buyers at once, and else the first of them would each be a call by itself. A command by itself waits for nobody.
/// </summary>
internal sealed class CommandsAtWork(TimeSpan gatherTime, TimeProvider time)
{
    private int _count;

    public int Enter() => Interlocked.Increment(ref _count);

    public void Leave() => Interlocked.Decrement(ref _count);

    /// <param name="present">Those that the call would carry.</param>
    public Task GatherAsync(int present, CancellationToken cancellationToken) =>
        gatherTime > TimeSpan.Zero && present < Volatile.Read(ref _count) ? Task.Delay(gatherTime, time, cancellationToken) : Task.CompletedTask;
}
