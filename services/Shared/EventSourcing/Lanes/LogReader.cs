using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>A committed event with the topic that it belongs to.</summary>
internal sealed record PublishableEvent(RecordedEvent Event, string? Topic);

/// <summary>Reads the events of a lane in the order of its segments, as far as they are settled.</summary>
internal sealed class LogReader(LaneStorage lanes, StreamStorage streams, Chunks chunks)
{
    private const int SegmentsLookedBack = 8;

    /// <summary>Every lane with the segment up to which it can be read.</summary>
    public async Task<IReadOnlyList<LogLane>> ListAsync(CancellationToken cancellationToken) =>
        [.. (await lanes.ReadHeadsAsync(cancellationToken)).Select(head => new LogLane(head.Lane, head.Head.Settled))];

    /// <summary>
    /// The events of the segments after <paramref name="after"/>: whole segments, until <paramref name="limit"/> events are reached, or
    /// fewer where segments hold hardly any, or large ones. Null: no such lane.
    /// </summary>
    public async Task<LogPage?> ReadAsync(string lane, long after, int limit, CancellationToken cancellationToken)
    {
        if (await lanes.ReadHeadAsync(lane, cancellationToken) is not { } head)
        {
            return null;
        }

        var events = new List<RecordedEvent>();
        var bytes = 0L;
        var until = Math.Min(head.Head.Settled, after + chunks.LogSegmentsPerPage);
        while (events.Count < limit && bytes < chunks.LogBytes && after < until)
        {
            var (read, next) = await ReadSettledAsync(lane, after, until, limit - events.Count, cancellationToken);
            events.AddRange(read.Select(e => e.Event));
            bytes += read.Sum(e => e.Event.Bytes);
            after = next;
        }

        return new LogPage(events, after, head.Head.Settled);
    }

    /// <summary>
    /// The streams and versions of the segments after <paramref name="after"/>, whole segments, until the limit is reached; no stream is read
    /// for it. Null: no such lane.
    /// </summary>
    public async Task<LogEntries?> ReadEntriesAsync(string lane, long after, int limit, CancellationToken cancellationToken)
    {
        if (await lanes.ReadHeadAsync(lane, cancellationToken) is not { } head)
        {
            return null;
        }

        var entries = new List<LogEntry>();
        var until = Math.Min(head.Head.Settled, after + chunks.LogSegmentsPerPage);
        while (entries.Count < limit && after < until)
        {
            var segments = await lanes.ReadSegmentsAsync(lane, after + 1, (int)Math.Min(chunks.LogSegments, until - after), cancellationToken);
            foreach (var segment in segments.TakeWhile(_ => entries.Count < limit))
            {
                after++;
                entries.AddRange(segment.Entries.Select(entry => new LogEntry(entry.Stream, entry.From, entry.To, entry.Topic, after)));
            }
        }

        return new LogEntries(entries, after, head.Head.Settled);
    }

    /// <summary>
    /// The committed events of some segments after <paramref name="after"/>, at least one, as many as may hold <paramref name="limit"/> events
    /// and no more bytes than one wants in memory; and the number of the last of them. All up to <paramref name="settled"/> are settled, and there is one.
    /// </summary>
    public async Task<(IReadOnlyList<PublishableEvent> Events, long Next)> ReadSettledAsync(
        string lane, long after, long settled, int limit, CancellationToken cancellationToken)
    {
        var segments = await lanes.ReadSegmentsAsync(lane, after + 1, (int)Math.Min(chunks.LogSegments, settled - after), cancellationToken);
        var entries = new List<SegmentEntry>();
        var (wanted, bytes) = (0L, 0L);
        foreach (var segment in segments)
        {
            entries.AddRange(segment.Entries);
            wanted += segment.Entries.Sum(entry => entry.To - entry.From + 1);
            bytes += segment.Entries.Sum(entry => entry.Bytes ?? 0);
            after++;
            if (wanted >= limit || bytes >= chunks.LogBytes)
            {
                break;
            }
        }

        return (await ReadCommittedAsync(entries, cancellationToken), after);
    }

    /// <summary>The last events of a topic up to a segment, at most <paramref name="limit"/>, from as few segments as one read takes.</summary>
    public async Task<IReadOnlyList<RecordedEvent>> ReadBeforeAsync(string lane, long until, string topic, int limit, CancellationToken cancellationToken)
    {
        var events = new List<RecordedEvent>();
        for (var after = Math.Max(0, until - SegmentsLookedBack); after < until;)
        {
            var (read, next) = await ReadSettledAsync(lane, after, until, int.MaxValue, cancellationToken);
            events.AddRange(read.Where(e => e.Topic == topic).Select(e => e.Event));
            after = next;
        }

        return [.. events.TakeLast(limit)];
    }

    private async Task<IReadOnlyList<PublishableEvent>> ReadCommittedAsync(List<SegmentEntry> entries, CancellationToken cancellationToken)
    {
        var byStream = entries.GroupBy(entry => entry.Stream).ToArray();
        var tips = await streams.ReadTipsAsync([.. byStream.Select(stream => stream.Key)], cancellationToken);
        var events = await Task.WhenAll(byStream.Zip(tips, (stream, at) => ReadAsync(at, stream, cancellationToken)));
        var committed = events.SelectMany(stored => stored).ToLookup(e => e.CommitId, e => e.Event);
        return [.. entries.SelectMany(entry => committed[entry.CommitId].Select(e => new PublishableEvent(e, entry.Topic)))];
    }

    private async Task<List<(string CommitId, RecordedEvent Event)>> ReadAsync(TipAt at, IEnumerable<SegmentEntry> entries, CancellationToken cancellationToken)
    {
        var ranges = RangesOf(entries);

        if (at.ETag is null)
        {
            throw new InvalidOperationException($"The stream {at.Stream} is in a settled segment, but it is not there: the store has lost it.");
        }

        var found = new List<(string, RecordedEvent)>();
        foreach (var (from, to) in ranges.Where(range => range.From <= at.Tip.Version))
        {
            var stored = await streams.ReadAsync(at, from - 1, (int)(to - from + 1), cancellationToken);
            found.AddRange(stored.Select(e => (e.CommitId, e.Of(at.Stream))));
        }

        return found;
    }

    private List<(long From, long To)> RangesOf(IEnumerable<SegmentEntry> entries)
    {
        var ranges = new List<(long From, long To)>();
        foreach (var entry in entries.OrderBy(entry => entry.From))
        {
            if (ranges.Count > 0 && entry.From - ranges[^1].To <= chunks.LogGap)
            {
                ranges[^1] = (ranges[^1].From, Math.Max(ranges[^1].To, entry.To));
            }
            else
            {
                ranges.Add((entry.From, entry.To));
            }
        }

        return ranges;
    }
}
