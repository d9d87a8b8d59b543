namespace DaprOrders.ServiceDefaults.CatchUp;

/// <summary>
/// What this process has handled of a topic lately, so that the catch-up need not ask for it. Only to save work: what is forgotten is handled
/// once more, and the position in the consumer's state decides.
/// </summary>
internal sealed class HandledEvents(TimeSpan remembered, TimeProvider time)
{
    /// <summary>Some 100 bytes each.</summary>
    private const int MostInGeneration = 500_000;

    private readonly Lock _lock = new();
    private HashSet<(string Stream, long Version)> _young = [];
    private HashSet<(string Stream, long Version)> _old = [];
    private long _youngSince = time.GetTimestamp();

    public void Add(string stream, long version)
    {
        lock (_lock)
        {
            if (time.GetElapsedTime(_youngSince) > remembered || _young.Count >= MostInGeneration)
                (_young, _old, _youngSince) = ([], _young, time.GetTimestamp());
            _young.Add((stream, version));
        }
    }

    /// <summary>The own store went back in time: what was handled may be undone.</summary>
    public void Clear()
    {
        lock (_lock)
            (_young, _old, _youngSince) = ([], [], time.GetTimestamp());
    }

    public bool Has(string stream, long version)
    {
        lock (_lock)
            return _young.Contains((stream, version)) || _old.Contains((stream, version));
    }
}
