using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>A head as it was read or written, with its tag.</summary>
internal sealed record HeadAt(string Lane, Head Head, string ETag);

/// <summary>The list of lanes as it was read, with its tag; the tag is null where it does not exist.</summary>
internal sealed record LaneListAt(LaneList List, string? ETag);

/// <summary>What must be there is not: a segment, or a stream that is in a settled one.</summary>
internal sealed class LostException : Exception
{
    public LostException(string lane, long segment)
        : base($"Segment {segment} of lane {lane} is missing: the store has lost it.") => Segment = segment;

    public LostException(string stream)
        : base($"The stream {stream} is in a settled segment, but it is not there: the store has lost it.") => Stream = stream;

    public long? Segment { get; }

    public string? Stream { get; }
}

/// <summary>Reads and writes lanes: their list, heads and segments; takes a lane over and settles what its former owner left open.</summary>
internal sealed class LaneStorage(IStateApi state, StreamStorage streams, Chunks chunks, TimeProvider time)
{
    /// <summary>Waits between tries of a call that must be answered before anything else can go on.</summary>
    public static TimeSpan RetryDelay { get; } = TimeSpan.FromMilliseconds(100);

    public async Task<LaneListAt> ReadListAsync(CancellationToken cancellationToken) =>
        await state.GetAsync(LaneList.Key, cancellationToken) is { } value
            ? new LaneListAt(LaneList.Read(value.Value), value.ETag)
            : new LaneListAt(LaneList.Empty, null);

    /// <summary>Writes the list as it is to be, and again when another instance has changed it meanwhile; not at all where nothing is to be changed.</summary>
    public async Task<LaneList> ChangeListAsync(Func<LaneList, LaneList> change, CancellationToken cancellationToken)
    {
        while (true)
        {
            var (list, tag) = await ReadListAsync(cancellationToken);
            var changed = change(list);
            if (ReferenceEquals(changed, list) || await state.TrySaveAsync(new StateWrite(LaneList.Key, changed.ToBytes(), tag), cancellationToken))
            {
                return changed;
            }

            await Task.Delay(RetryDelay, time, cancellationToken);
        }
    }

    public async Task<IReadOnlyList<HeadAt>> ReadHeadsAsync(CancellationToken cancellationToken) =>
        await ReadHeadsAsync((await ReadListAsync(cancellationToken)).List.Names, cancellationToken);

    /// <summary>Those of the heads that are there.</summary>
    public async Task<IReadOnlyList<HeadAt>> ReadHeadsAsync(IReadOnlyList<string> lanes, CancellationToken cancellationToken)
    {
        var values = await state.GetManyAsync([.. lanes.Select(Head.KeyOf)], cancellationToken);
        return [.. lanes.Zip(values).Where(pair => pair.Second is not null).Select(pair => At(pair.First, pair.Second!))];
    }

    public async Task<HeadAt?> ReadHeadAsync(string lane, CancellationToken cancellationToken) =>
        await state.GetAsync(Head.KeyOf(lane), cancellationToken) is { } value ? At(lane, value) : null;

    /// <summary>Writes a head if it is still as it was read, and answers the one that stands then, ours or not; null when there is none.</summary>
    public async Task<HeadAt?> WriteHeadAsync(HeadAt former, Head head, CancellationToken cancellationToken) =>
        (await WriteHeadAsync(former, head, [], cancellationToken)).Present;

    /// <summary>And in the same look the batches that stand under some numbers, null where there is none.</summary>
    public async Task<(HeadAt? Present, IReadOnlyList<string?> BatchIds)> WriteHeadAsync(
        HeadAt former, Head head, IReadOnlyList<long> numbers, CancellationToken cancellationToken)
    {
        try
        {
            await state.TrySaveAsync(new StateWrite(Head.KeyOf(former.Lane), head.ToBytes(), former.ETag), cancellationToken);
        }
        catch (EventStoreUnavailableException)
        {
            // Unknown, as a refusal is on some stores: what is there now decides. Nor does a write tell its tag.
        }

        return await ReadHeadAsync(former.Lane, numbers, cancellationToken);
    }

    public async Task<(HeadAt? Head, IReadOnlyList<string?> BatchIds)> ReadHeadAsync(
        string lane, IReadOnlyList<long> numbers, CancellationToken cancellationToken)
    {
        var values = await state.GetManyAsync([Head.KeyOf(lane), .. numbers.Select(number => Segment.KeyOf(lane, number))], cancellationToken);
        return (
            values[0] is { } value ? At(lane, value) : null,
            [.. values.Skip(1).Select(segment => segment is null ? null : Segment.BatchIdOf(segment.Value))]);
    }

    /// <summary>Adds a lane that nobody owns, under a name that nobody has used or will use again.</summary>
    public async Task<HeadAt?> CreateLaneAsync(CancellationToken cancellationToken)
    {
        var (list, tag) = await ReadListAsync(cancellationToken);
        var name = Guid.CreateVersion7(time.GetUtcNow()).ToString("N");
        await CreateHeadAsync(name, cancellationToken);
        var listed = list with { Names = [.. list.Names, name] };
        return await state.TrySaveAsync(new StateWrite(LaneList.Key, listed.ToBytes(), tag), cancellationToken)
            ? await ReadHeadAsync(name, cancellationToken)
            : null;
    }

    public Task CreateHeadAsync(string lane, CancellationToken cancellationToken) =>
        state.TrySaveAsync(new StateWrite(Head.KeyOf(lane), new Head(null, 0, default, 0, 0).ToBytes(), null), cancellationToken);

    /// <summary>
    /// Takes a lane over: the next epoch, a fence where the former owner's next segment would stand, then what was open is settled.
    /// </summary>
    /// <returns>The head with everything up to the fence settled, or null when another instance has taken it, or the store has refused.</returns>
    public async Task<HeadAt?> TakeAsync(HeadAt former, string owner, string incarnation, CancellationToken cancellationToken)
    {
        var epoch = former.Head.Epoch + 1;
        var head = former.Head with { Owner = owner, Incarnation = incarnation, Epoch = epoch };
        if (await MoveHeadAsync(former, head, cancellationToken) is not { } taken)
        {
            return null;
        }

        var (number, later) = await FenceAsync(taken, taken.Head.Settled + 1, cancellationToken);
        if (later is not null)
        {
            return null;
        }

        // The head moves on meanwhile, so that nobody takes a long work for an owner that is gone, or begins it anew.
        while (taken.Head.Settled < number)
        {
            var settled = Math.Min(taken.Head.Settled + chunks.SettledSegments, number);
            var segments = await ReadSegmentsAsync(taken.Lane, taken.Head.Settled + 1, (int)(settled - taken.Head.Settled), cancellationToken);
            await SettleAsync(segments, cancellationToken);
            if (await MoveHeadAsync(taken, taken.Head with { Settled = settled }, cancellationToken) is not { } moved)
            {
                return null;
            }

            taken = moved;
        }

        return taken;
    }

    /// <summary>
    /// Puts a fence under the first free number from <paramref name="number"/> on, where the former owner's next segment would stand, who can then
    /// commit no more.
    /// </summary>
    /// <returns>The number; and not null when it is that of a segment of no earlier owner, its epoch.</returns>
    public async Task<(long Number, long? Later)> FenceAsync(HeadAt taken, long number, CancellationToken cancellationToken)
    {
        var epoch = taken.Head.Epoch;
        var fence = new Segment(epoch, Segment.FenceIdOf(taken.Head), []);
        while (true)
        {
            var standing = await PutSegmentAsync(taken.Lane, number, fence, cancellationToken);
            if (standing.BatchId == fence.BatchId || standing.Epoch >= epoch)
            {
                return (number, standing.BatchId == fence.BatchId ? null : standing.Epoch);
            }

            number++;
        }
    }

    /// <summary>Puts a segment under a number that may be taken, and answers the one that stands there. Tries until that is known.</summary>
    public async Task<Segment> PutSegmentAsync(string lane, long number, Segment segment, CancellationToken cancellationToken)
    {
        var key = Segment.KeyOf(lane, number);
        while (true)
        {
            try
            {
                if (await state.TrySaveAsync(new StateWrite(key, segment.ToBytes(), null), cancellationToken))
                {
                    return segment;
                }
            }
            catch (EventStoreUnavailableException)
            {
                // Unknown: what is there now decides.
            }

            if (await UntilAnsweredAsync(() => state.GetAsync(key, cancellationToken), cancellationToken) is { } standing)
            {
                return Segment.Read(standing.Value);
            }

            await Task.Delay(RetryDelay, time, cancellationToken);
        }
    }

    /// <summary>Segments <paramref name="first"/>.., which all exist.</summary>
    /// <exception cref="LostException">One does not.</exception>
    public async Task<IReadOnlyList<Segment>> ReadSegmentsAsync(string lane, long first, int count, CancellationToken cancellationToken) =>
        [.. (await FindSegmentsAsync(lane, first, count, cancellationToken)).Select((segment, i) => segment ?? throw new LostException(lane, first + i))];

    /// <summary>Segments <paramref name="first"/>.., null where there is none.</summary>
    public async Task<IReadOnlyList<Segment?>> FindSegmentsAsync(string lane, long first, int count, CancellationToken cancellationToken)
    {
        var values = await state.GetManyAsync([.. Enumerable.Range(0, count).Select(i => Segment.KeyOf(lane, first + i))], cancellationToken);
        return [.. values.Select(value => value is null ? null : Segment.Read(value.Value))];
    }

    /// <summary>
    /// Whether the entry's commit is in the tip. When it is not, it never will be: another commit has its versions, or the tip is written
    /// anew, so that a write which was given up finds another tag. Tries until that is certain.
    /// </summary>
    /// <param name="at">The tip as it was read a moment ago.</param>
    public async Task<bool> IsCommittedOrBarredAsync(SegmentEntry entry, TipAt at, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                if (at.Tip.Version >= entry.From)
                {
                    return await HoldsAsync(entry, at, cancellationToken);
                }

                if (await state.TrySaveAsync(new StateWrite(Tip.KeyOf(at.Stream), at.Tip.ToBytes(), at.ETag), cancellationToken))
                {
                    return false;
                }
            }
            catch (EventStoreUnavailableException)
            {
                // Unknown, or the store's own word for "changed": the tip decides.
            }

            // A tip that has changed meanwhile is no reason to wait; a store that refuses all writes is.
            if (attempt > 1)
            {
                await Task.Delay(RetryDelay, time, cancellationToken);
            }

            at = await UntilAnsweredAsync(() => streams.ReadTipAsync(entry.Stream, cancellationToken), cancellationToken);
        }
    }

    /// <summary>Reads as often as it takes, where nothing can go on before the store answers.</summary>
    public async Task<T> UntilAnsweredAsync<T>(Func<Task<T>> read, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await read();
            }
            catch (EventStoreUnavailableException)
            {
                await Task.Delay(RetryDelay, time, cancellationToken);
            }
        }
    }

    private async Task<bool> HoldsAsync(SegmentEntry entry, TipAt at, CancellationToken cancellationToken)
    {
        var first = await streams.ReadAsync(at, entry.From - 1, 1, cancellationToken);
        return first[0].CommitId == entry.CommitId;
    }

    /// <summary>Writes a head for good; null when it is not known to stand as it was to be.</summary>
    private async Task<HeadAt?> MoveHeadAsync(HeadAt former, Head head, CancellationToken cancellationToken)
    {
        head = head with { WrittenAt = time.GetUtcNow() };
        return await WriteHeadAsync(former, head, cancellationToken) is { } present && present.Head.IsSameAs(head) ? present : null;
    }

    /// <summary>From now on it is certain for each entry whether it is committed.</summary>
    public async Task SettleAsync(IEnumerable<Segment> segments, CancellationToken cancellationToken)
    {
        foreach (var segment in segments)
        {
            var tips = await UntilAnsweredAsync(
                () => streams.ReadTipsAsync([.. segment.Entries.Select(entry => entry.Stream)], cancellationToken), cancellationToken);
            await Task.WhenAll(segment.Entries.Zip(tips).Where(pair => pair.Second.Tip.Version < pair.First.From)
                .Select(pair => IsCommittedOrBarredAsync(pair.First, pair.Second, cancellationToken)));
        }
    }

    private static HeadAt At(string lane, StateValue value) => new(lane, Head.Read(value.Value), value.ETag);
}
