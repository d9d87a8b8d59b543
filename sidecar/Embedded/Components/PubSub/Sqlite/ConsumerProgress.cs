namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>How far a consumer has come in its topic, and what of that it has not finished. Used under its group's lock.</summary>
internal sealed class ConsumerProgress(ConsumerState saved, int mostUnfinished)
{
    private readonly SortedSet<long> _unfinished = [.. saved.Unfinished];
    private long _position = saved.Position;

    /// <summary>So much is open that nothing new is begun.</summary>
    public bool IsFull => _unfinished.Count >= mostUnfinished;

    public long FinishedUpTo => _unfinished.Count == 0 ? _position : _unfinished.Min - 1;

    public ConsumerState State => saved with { Position = _position, Unfinished = [.. _unfinished] };

    public void Begin(long place)
    {
        _position = place;
        _unfinished.Add(place);
    }

    public void Finish(long place) => _unfinished.Remove(place);
}
