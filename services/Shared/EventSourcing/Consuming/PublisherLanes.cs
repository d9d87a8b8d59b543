using System.Collections.Concurrent;

namespace DaprOrders.EventSourcing;

/// <summary>The names of the publishers' lanes. They change seldom, so they are asked for again only after <see cref="Remembered"/>.</summary>
public sealed class PublisherLanes(IPublisherLogs logs, TimeProvider time)
{
    /// <summary>A lane that is new is found this much later at the most.</summary>
    private static readonly TimeSpan Remembered = TimeSpan.FromSeconds(15);

    private readonly ConcurrentDictionary<string, (IReadOnlyList<string> Names, long ReadAt)> _lanes = new();

    public async Task<IReadOnlyList<string>> ReadAsync(string publisher, CancellationToken cancellationToken)
    {
        if (_lanes.TryGetValue(publisher, out var known) && known.Names.Count > 0 && time.GetElapsedTime(known.ReadAt) < Remembered)
        {
            return known.Names;
        }

        var lanes = await logs.ReadLanesAsync(publisher, cancellationToken);
        string[] names = [.. lanes.Select(lane => lane.Name)];
        _lanes[publisher] = (names, time.GetTimestamp());
        return names;
    }
}
