using System.Globalization;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>A head as it was read or written, with its tag.</summary>
internal sealed record HeadAt(string Lane, Head Head, string ETag);

/// <summary>Reads and writes lanes: their list, heads and segments; takes a lane over and settles what its former owner left open.</summary>
internal sealed class LaneStorage(IStateApi state, StreamStorage streams, Chunks chunks, TimeProvider time)
{
    /// <summary>Waits between tries of a call that must be answered before anything else can go on.</summary>
    public static TimeSpan RetryDelay { get; } = TimeSpan.FromMilliseconds(100);

    public async Task<IReadOnlyList<HeadAt>> ReadHeadsAsync(CancellationToken cancellationToken)
    {
        var names = await state.GetAsync(LaneList.Key, cancellationToken) is { } list ? LaneList.Read(list.Value).Names : [];
        var values = await state.GetManyAsync([.. names.Select(Head.KeyOf)], cancellationToken);
        return [.. names.Zip(values).Where(pair => pair.Second is not null)
            .Select(pair => new HeadAt(pair.First, Head.Read(pair.Second!.Value), pair.Second.ETag))];
    }

    public async Task<HeadAt?> ReadHeadAsync(string lane, CancellationToken cancellationToken) =>
        await state.GetAsync(Head.KeyOf(lane), cancellationToken) is { } value ? new HeadAt(lane, Head.Read(value.Value), value.ETag) : null;

    /// <summary>Writes a head if it is still as it was read, and answers the one that stands then, ours or not; null when there is none.</summary>
    public async Task<HeadAt?> WriteHeadAsync(HeadAt former, Head head, CancellationToken cancellationToken)
    {
        try
        {
            await state.TrySaveAsync(new StateWrite(Head.KeyOf(former.Lane), head.ToBytes(), former.ETag), cancellationToken);
        }
        catch (EventStoreUnavailableException)
        {
            // Unknown, as a refusal is on some stores: what is there now decides. Nor does a write tell its tag.
        }

        return await ReadHeadAsync(former.Lane, cancellationToken);
    }

    /// <summary>Adds a lane that nobody owns and that nobody has used.</summary>
    public async Task<HeadAt?> CreateLaneAsync(CancellationToken cancellationToken)
    {
        var list = await state.GetAsync(LaneList.Key, cancellationToken);
        var names = list is null ? [] : LaneList.Read(list.Value).Names;
        var name = names.Count.ToString(CultureInfo.InvariantCulture);
        if (await ReadHeadAsync(name, cancellationToken) is null)
        {
            var head = new Head(null, 0, default, 0, 0);
            await state.TrySaveAsync(new StateWrite(Head.KeyOf(name), head.ToBytes(), null), cancellationToken);
        }

        var listed = new LaneList([.. names, name]).ToBytes();
        return await state.TrySaveAsync(new StateWrite(LaneList.Key, listed, list?.ETag), cancellationToken)
            ? await ReadHeadAsync(name, cancellationToken)
            : null;
    }

    /// <summary>
    /// Takes a lane over: the next epoch, a fence where the former owner's next segment would stand, then what was open is settled.
    /// </summary>
    /// <returns>The head with everything up to the fence settled, or null when another instance has taken it, or the store has refused.</returns>
    public async Task<HeadAt?> TakeAsync(HeadAt former, string owner, CancellationToken cancellationToken)
    {
        var epoch = former.Head.Epoch + 1;
        if (await MoveHeadAsync(former, former.Head with { Owner = owner, Epoch = epoch }, cancellationToken) is not { } taken)
        {
            return null;
        }

        var fence = new Segment(epoch, $"fence-{owner}-{epoch}", []);
        var number = taken.Head.Settled;
        Segment standing;
        do
        {
            number++;
            standing = await PutSegmentAsync(taken.Lane, number, fence, cancellationToken);
        }
        while (standing.BatchId != fence.BatchId && standing.Epoch < epoch);

        if (standing.Epoch > epoch)
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
    public async Task<IReadOnlyList<Segment>> ReadSegmentsAsync(string lane, long first, int count, CancellationToken cancellationToken)
    {
        var values = await state.GetManyAsync([.. Enumerable.Range(0, count).Select(i => Segment.KeyOf(lane, first + i))], cancellationToken);
        return [.. values.Select((value, i) => value is null
            ? throw new InvalidOperationException($"Segment {first + i} of lane {lane} is missing: the store has lost it.")
            : Segment.Read(value.Value))];
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

    private async Task<HeadAt?> MoveHeadAsync(HeadAt former, Head head, CancellationToken cancellationToken)
    {
        head = head with { WrittenAt = time.GetUtcNow() };
        return await WriteHeadAsync(former, head, cancellationToken) is { } present && present.Head == head ? present : null;
    }

    private async Task SettleAsync(IReadOnlyList<Segment> segments, CancellationToken cancellationToken)
    {
        foreach (var segment in segments)
        {
            var tips = await streams.ReadTipsAsync([.. segment.Entries.Select(entry => entry.Stream)], cancellationToken);
            await Task.WhenAll(segment.Entries.Zip(tips).Where(pair => pair.Second.Tip.Version < pair.First.From)
                .Select(pair => IsCommittedOrBarredAsync(pair.First, pair.Second, cancellationToken)));
        }
    }
}
