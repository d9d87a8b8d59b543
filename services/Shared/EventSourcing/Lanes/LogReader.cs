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
        var next = after;
        while (events.Count < limit)
        {
            var segments = await lanes.ReadSegmentsAsync(lane, next + 1, SegmentsAtOnce, cancellationToken);
            var settled = SettledOf(segments, next, head.Head.Settled);
            if (settled == 0)
            {
                break;
            }

            var tips = new Dictionary<string, TipAt>();
            foreach (var segment in segments.Take(settled))
            {
                if (events.Count >= limit)
                {
                    break;
                }

                events.AddRange((await ReadAsync(segment, tips, segments, cancellationToken)).Select(e => e.Event));
                next++;
            }
        }

        return new LogPage(events, next);
    }

    /// <summary>The committed events of one settled segment.</summary>
    public async Task<IReadOnlyList<PublishableEvent>> ReadSegmentAsync(string lane, long number, CancellationToken cancellationToken)
    {
        var segment = await lanes.ReadSegmentAsync(lane, number, cancellationToken)
            ?? throw new InvalidOperationException($"Segment {number} of lane {lane} is missing: the store has lost it.");
        return await ReadAsync(segment, [], [segment], cancellationToken);
    }

    // An owner writes a segment only when the one before is settled, so whatever stands before an ordinary segment is; a fence says nothing.
    private static int SettledOf(IReadOnlyList<Segment> segments, long after, long settled)
    {
        var count = (int)Math.Clamp(settled - after, 0, segments.Count);
        for (var i = segments.Count - 1; i > count; i--)
        {
            if (!segments[i].Fence)
            {
                return i;
            }
        }

        return count;
    }

    private async Task<IReadOnlyList<PublishableEvent>> ReadAsync(
        Segment segment, Dictionary<string, TipAt> tips, IReadOnlyList<Segment> ahead, CancellationToken cancellationToken)
    {
        var found = new List<PublishableEvent>();
        foreach (var entry in segment.Entries)
        {
            if (!tips.TryGetValue(entry.Stream, out var at))
            {
                await ReadTipsAsync(tips, ahead, cancellationToken);
                at = tips[entry.Stream];
            }

            var stored = await lanes.ReadCommittedAsync(entry, at, cancellationToken);
            found.AddRange(stored.Select(e => new PublishableEvent(e.Of(entry.Stream), entry.Topic)));
        }

        return found;
    }

    private async Task ReadTipsAsync(Dictionary<string, TipAt> tips, IReadOnlyList<Segment> ahead, CancellationToken cancellationToken)
    {
        var wanted = ahead.SelectMany(segment => segment.Entries).Select(entry => entry.Stream).Distinct();
        foreach (var chunk in wanted.Chunk(64))
        {
            foreach (var at in await streams.ReadTipsAsync(chunk, cancellationToken))
            {
                tips[at.Stream] = at;
            }
        }
    }
}
