using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>A committed event with the topic that it belongs to.</summary>
internal sealed record PublishableEvent(RecordedEvent Event, string? Topic);

/// <summary>Reads the events of a lane in the order of its segments, as far as they are settled.</summary>
internal sealed class LogReader(LaneStorage lanes, StreamStorage streams, StoreHistory history, Chunks chunks)
{
    private const int SegmentsLookedBack = 8;

    /// <summary>Finds the lane of a name if this instance owns it: what it has in memory is not read from the store.</summary>
    public Func<string, OwnedLane?> Own { private get; set; } = _ => null;

    /// <summary>Tells a lane whose owner does not live any more.</summary>
    public Func<HeadAt, bool> IsLeftBehind { private get; set; } = _ => false;

    /// <summary>Every lane with the segment up to which it can be read.</summary>
    public async Task<IReadOnlyList<LogLane>> ListAsync(CancellationToken cancellationToken) =>
        [.. (await lanes.ReadHeadsAsync(cancellationToken)).Select(head => Of(Own(head.Lane)?.Shown ?? head))];

    private LogLane Of(HeadAt at) => new(at.Lane, at.Head.Settled, at.Head.IsClosed)
    {
        Owner = at.Head.Owner,
        State = at.Head.IsClosed ? "closed" : at.Head.Owner is null ? "free" : IsLeftBehind(at) ? "leftBehind" : "held",
        Unpublished = Math.Max(0, at.Head.Settled - at.Head.Published),
    };

    /// <summary>
    /// The events of the segments after <paramref name="after"/>: whole segments, until <paramref name="limit"/> events are reached, or
    /// fewer where segments hold hardly any, or large ones. Null: no such lane.
    /// </summary>
    public async Task<LogPage?> ReadAsync(string lane, long after, int limit, CancellationToken cancellationToken)
    {
        if (await HeadAsync(lane, cancellationToken) is not { } head)
        {
            return null;
        }

        if (after > head.Head.Settled)
        {
            return await AheadAsync(head, after, cancellationToken);
        }

        var events = new List<RecordedEvent>();
        var (asked, bytes) = (after, 0L);
        var until = Math.Min(head.Head.Settled, after + chunks.LogSegmentsPerPage);
        while (events.Count < limit && bytes < chunks.LogBytes && after < until)
        {
            var (read, next) = await ReadSettledAsync(head, after, until, limit - events.Count, cancellationToken);
            events.AddRange(read.Select(e => e.Event));
            bytes += read.Sum(e => e.Event.Bytes);
            after = next;
        }

        return new LogPage(events, after, head.Head.Settled, GapsIn(head, asked, after));
    }

    /// <summary>
    /// The streams and versions of the segments after <paramref name="after"/>, whole segments, until the limit is reached; no stream is read
    /// for it, and what the store has lost is passed. Null: no such lane.
    /// </summary>
    public async Task<LogEntries?> ReadEntriesAsync(string lane, long after, int limit, CancellationToken cancellationToken)
    {
        if (await HeadAsync(lane, cancellationToken) is not { } head)
        {
            return null;
        }

        if (after > head.Head.Settled)
        {
            var ahead = await AheadAsync(head, after, cancellationToken);
            return new LogEntries([], ahead.Next, ahead.Settled);
        }

        var entries = new List<LogEntry>();
        var asked = after;
        var until = Math.Min(head.Head.Settled, after + chunks.LogSegmentsPerPage);
        while (entries.Count < limit && after < until)
        {
            if (GapAt(head, after + 1) is { } gap)
            {
                after = gap.To;
                continue;
            }

            if (Own(lane)?.Recent(after + 1) is { } recent)
            {
                after++;
                entries.AddRange(recent.GroupBy(e => (e.Event.Stream, e.Topic)).Select(stream =>
                    new LogEntry(stream.Key.Stream, stream.Min(e => e.Event.Version), stream.Max(e => e.Event.Version), stream.Key.Topic, after)));
                continue;
            }

            var from = after;
            var segments = await CheckedAsync(head, from, () => ReadSegmentsAsync(head, from, BeforeGap(head, from, until), cancellationToken), cancellationToken);
            foreach (var segment in segments.TakeWhile(_ => entries.Count < limit))
            {
                after++;
                entries.AddRange((segment?.Entries ?? []).Select(entry => new LogEntry(entry.Stream, entry.From, entry.To, entry.Topic, after)));
            }
        }

        return new LogEntries(entries, after, head.Head.Settled, GapsIn(head, asked, after));
    }

    /// <summary>
    /// The committed events of some segments after <paramref name="after"/>, at least one, as many as may hold <paramref name="limit"/> events
    /// and no more bytes than one wants in memory; and the number of the last of them. All up to <paramref name="settled"/> are settled, and there is one.
    /// </summary>
    public async Task<(IReadOnlyList<PublishableEvent> Events, long Next)> ReadSettledAsync(
        HeadAt head, long after, long settled, int limit, CancellationToken cancellationToken)
    {
        if (GapAt(head, after + 1) is { } gap)
        {
            return ([], gap.To);
        }

        if (Own(head.Lane)?.Recent(after, settled, limit, chunks.LogBytes) is { } recent && recent.Last > after)
        {
            return recent;
        }

        return await CheckedAsync(head, after, () => ReadWholeAsync(head, after, BeforeGap(head, after, settled), limit, cancellationToken), cancellationToken);
    }

    private async Task<HeadAt?> HeadAsync(string lane, CancellationToken cancellationToken) =>
        Own(lane)?.Shown ?? await lanes.ReadHeadAsync(lane, cancellationToken);

    private static long BeforeGap(HeadAt head, long after, long settled) =>
        head.Head.Lost?.FirstOrDefault(lost => lost.From > after) is { } ahead ? Math.Min(settled, ahead.From - 1) : settled;

    private async Task<T> CheckedAsync<T>(HeadAt head, long after, Func<Task<T>> read, CancellationToken cancellationToken)
    {
        try
        {
            return await read();
        }
        catch (LostException missing)
        {
            await CheckAsync(head, after + 1, missing, cancellationToken);
            throw new EventStoreUnavailableException($"The state store did not show what lane {head.Lane} holds, and then it did. Try again.", missing);
        }
    }

    private static List<LostPositions>? GapsIn(HeadAt head, long after, long upTo) =>
        head.Head.Lost?.Where(gap => gap.To > after && gap.From <= upTo).ToList() is { Count: > 0 } gaps ? gaps : null;

    private static LostPositions? GapAt(HeadAt head, long number) => head.Head.Lost?.FirstOrDefault(lost => lost.From <= number && number <= lost.To);

    // Whoever has read further than the lane reaches, as its owner may not have written down yet, has read what the store has lost since.
    private async Task<LogPage> AheadAsync(HeadAt head, long after, CancellationToken cancellationToken)
    {
        if (!head.Head.IsClosed)
        {
            var (again, batchIds) = await lanes.ReadHeadAsync(head.Lane, [after], cancellationToken);
            head = again ?? head;
            if (batchIds[0] is not null && !head.Head.IsClosed)
            {
                return new LogPage([], after, Math.Max(after, head.Head.Settled));
            }
        }

        if (after <= head.Head.Settled)
        {
            return new LogPage([], after, head.Head.Settled);
        }

        return head.Head.IsClosed
            ? new LogPage([], after, head.Head.Settled, [new LostPositions(head.Head.Settled + 1, after)])
            : throw new PositionAheadException(head.Lane, after, head.Head.Settled);
    }

    // A store may answer once what is not so; what it says twice is believed.
    private async Task CheckAsync(HeadAt head, long first, LostException missing, CancellationToken cancellationToken)
    {
        var (present, batchIds) = await lanes.ReadHeadAsync(head.Lane, [missing.Segment ?? first], cancellationToken);
        var isLost = missing.Stream is { } stream
            ? (await streams.ReadTipAsync(stream, cancellationToken)).ETag is null
            : present?.Head.Settled >= missing.Segment && batchIds[0] is null;
        if (isLost && present is { Head.IsClosed: false })
        {
            history.Report(new LostLane(head.Lane, present.Head.Epoch, missing.Segment ?? first, present.Head.Settled));
            history.ThrowIfWentBack();
        }
    }

    // Of a lane that a recovery has closed a segment that nobody missed then may be missing all the same: it is passed.
    private async Task<IReadOnlyList<Segment?>> ReadSegmentsAsync(HeadAt head, long after, long settled, CancellationToken cancellationToken)
    {
        var count = (int)Math.Min(chunks.LogSegments, settled - after);
        return head.Head.IsClosed
            ? await lanes.FindSegmentsAsync(head.Lane, after + 1, count, cancellationToken)
            : await lanes.ReadSegmentsAsync(head.Lane, after + 1, count, cancellationToken);
    }

    private async Task<(IReadOnlyList<PublishableEvent> Events, long Next)> ReadWholeAsync(
        HeadAt head, long after, long settled, int limit, CancellationToken cancellationToken)
    {
        var segments = await ReadSegmentsAsync(head, after, settled, cancellationToken);
        var entries = new List<SegmentEntry>();
        var (wanted, bytes) = (0L, 0L);
        foreach (var segment in segments)
        {
            IReadOnlyList<SegmentEntry> listed = segment?.Entries ?? [];
            entries.AddRange(listed);
            wanted += listed.Sum(entry => entry.To - entry.From + 1);
            bytes += listed.Sum(entry => entry.Bytes ?? 0);
            after++;
            if (wanted >= limit || bytes >= chunks.LogBytes)
            {
                break;
            }
        }

        return (await ReadCommittedAsync(entries, head.Head.IsClosed, cancellationToken), after);
    }

    /// <summary>The last events of a topic up to a segment, at most <paramref name="limit"/>, from as few segments as one read takes.</summary>
    public async Task<IReadOnlyList<RecordedEvent>> ReadBeforeAsync(string lane, long until, string topic, int limit, CancellationToken cancellationToken)
    {
        var events = new List<RecordedEvent>();
        if (await lanes.ReadHeadAsync(lane, cancellationToken) is not { } head)
        {
            return events;
        }

        for (var after = Math.Max(0, until - SegmentsLookedBack); after < until;)
        {
            var (read, next) = await ReadSettledAsync(head, after, until, int.MaxValue, cancellationToken);
            events.AddRange(read.Where(e => e.Topic == topic).Select(e => e.Event));
            after = next;
        }

        return [.. events.TakeLast(limit)];
    }

    private async Task<IReadOnlyList<PublishableEvent>> ReadCommittedAsync(
        List<SegmentEntry> entries, bool isClosed, CancellationToken cancellationToken)
    {
        var byStream = entries.GroupBy(entry => entry.Stream).ToArray();
        var tips = await streams.ReadTipsAsync([.. byStream.Select(stream => stream.Key)], cancellationToken);
        if (tips.FirstOrDefault(at => at.ETag is null) is { } missing && !isClosed)
        {
            throw new LostException(missing.Stream);
        }

        var events = await Task.WhenAll(byStream.Zip(tips, (stream, at) => ReadAsync(at, stream, cancellationToken)));
        var committed = events.SelectMany(stored => stored).ToLookup(e => e.CommitId, e => e.Event);
        return [.. entries.SelectMany(entry => committed[entry.CommitId].Select(e => new PublishableEvent(e, entry.Topic)))];
    }

    private async Task<List<(string CommitId, RecordedEvent Event)>> ReadAsync(TipAt at, IEnumerable<SegmentEntry> entries, CancellationToken cancellationToken)
    {
        var ranges = RangesOf(entries);
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
