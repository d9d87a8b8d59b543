using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>A committed event with the topic that it belongs to.</summary>
internal sealed record PublishableEvent(RecordedEvent Event, string? Topic);

/// <summary>Reads the events of a lane in the order of its segments, as far as they are settled.</summary>
internal sealed class LogReader(LaneStorage lanes, StreamStorage streams)
{
    private const int SegmentsAtOnce = 32;

    /// <summary>Every lane with the segment up to which it can be read.</summary>
    public async Task<IReadOnlyList<LogLane>> ListAsync(CancellationToken cancellationToken) =>
        [.. (await lanes.ReadHeadsAsync(cancellationToken)).Select(head => new LogLane(head.Lane, head.Head.Settled))];

    /// <summary>
    /// The events of the segments after <paramref name="after"/>: whole segments, until <paramref name="limit"/> events are reached. Null: no such lane.
    /// </summary>
    public async Task<LogPage?> ReadAsync(string lane, long after, int limit, CancellationToken cancellationToken)
    {
        if (await lanes.ReadHeadAsync(lane, cancellationToken) is not { } head)
        {
            return null;
        }

        var events = new List<RecordedEvent>();
        while (events.Count < limit && after < head.Head.Settled)
        {
            var (read, next) = await ReadSettledAsync(lane, after, head.Head.Settled, limit - events.Count, cancellationToken);
            events.AddRange(read.Select(e => e.Event));
            after = next;
        }

        return new LogPage(events, after);
    }

    /// <summary>
    /// The committed events of some segments after <paramref name="after"/>, at least one, as many as may hold <paramref name="limit"/> events;
    /// and the number of the last of them. All up to <paramref name="settled"/> are settled, and there is one.
    /// </summary>
    public async Task<(IReadOnlyList<PublishableEvent> Events, long Next)> ReadSettledAsync(
        string lane, long after, long settled, int limit, CancellationToken cancellationToken)
    {
        var segments = await lanes.ReadSegmentsAsync(lane, after + 1, (int)Math.Min(SegmentsAtOnce, settled - after), cancellationToken);
        var entries = new List<SegmentEntry>();
        var wanted = 0L;
        foreach (var segment in segments)
        {
            entries.AddRange(segment.Entries);
            wanted += segment.Entries.Sum(entry => entry.To - entry.From + 1);
            after++;
            if (wanted >= limit)
            {
                break;
            }
        }

        return (await ReadCommittedAsync(entries, cancellationToken), after);
    }

    private async Task<IReadOnlyList<PublishableEvent>> ReadCommittedAsync(List<SegmentEntry> entries, CancellationToken cancellationToken)
    {
        var byStream = entries.GroupBy(entry => entry.Stream).ToArray();
        var tips = await streams.ReadTipsAsync([.. byStream.Select(stream => stream.Key)], cancellationToken);
        var events = await Task.WhenAll(byStream.Zip(tips, (stream, at) => ReadAsync(at, stream.Min(e => e.From), stream.Max(e => e.To), cancellationToken)));
        var committed = events.SelectMany(stored => stored).ToLookup(e => e.CommitId, e => e.Event);
        return [.. entries.SelectMany(entry => committed[entry.CommitId].Select(e => new PublishableEvent(e, entry.Topic)))];
    }

    private async Task<IEnumerable<(string CommitId, RecordedEvent Event)>> ReadAsync(TipAt at, long from, long to, CancellationToken cancellationToken)
    {
        // Read in bulk, a tip may be older than the commit that is looked for.
        if (at.Tip.Version < to)
        {
            at = await streams.ReadTipAsync(at.Stream, cancellationToken);
        }

        var stored = await streams.ReadAsync(at, from - 1, (int)(to - from + 1), cancellationToken);
        return stored.Select(e => (e.CommitId, e.Of(at.Stream)));
    }
}
