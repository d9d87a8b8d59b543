using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>A head as it was read or written, with its tag.</summary>
internal sealed record HeadAt(string Lane, Head Head, string ETag);

/// <summary>Reads and writes lanes: their list, heads and segments; takes a lane over and settles what its former owner left open.</summary>
internal sealed class LaneStorage(IStateApi state, StreamStorage streams, EventStoreOptions options, TimeProvider time)
{
    private const int SegmentsPerRead = 16;

    /// <summary>Waits between tries of a call that must be answered before anything else can go on.</summary>
    public static TimeSpan RetryDelay { get; } = TimeSpan.FromMilliseconds(100);

    public async Task<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken) =>
        await GetAsync(LaneList.Key, cancellationToken) is { } value ? LaneList.Read(value.Value).Names : [];

    public async Task<IReadOnlyList<HeadAt>> ReadHeadsAsync(CancellationToken cancellationToken)
    {
        var names = await ListAsync(cancellationToken);
        using var deadline = new CallDeadline(options.CallTimeout, time, cancellationToken);
        var values = await state.GetManyAsync([.. names.Select(Head.KeyOf)], deadline.Token);
        return [.. names.Zip(values).Where(pair => pair.Second is not null)
            .Select(pair => new HeadAt(pair.First, Head.Read(pair.Second!.Value), pair.Second.ETag))];
    }

    public async Task<HeadAt?> ReadHeadAsync(string lane, CancellationToken cancellationToken) =>
        await GetAsync(Head.KeyOf(lane), cancellationToken) is { } value ? new HeadAt(lane, Head.Read(value.Value), value.ETag) : null;

    /// <summary>Writes a head if it is still as it was read. Null: another instance has written it.</summary>
    public async Task<HeadAt?> TryWriteHeadAsync(HeadAt former, Head head, CancellationToken cancellationToken)
    {
        try
        {
            if (!await TrySaveAsync(new StateWrite(Head.KeyOf(former.Lane), head.ToBytes(), former.ETag), cancellationToken))
            {
                return null;
            }
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Unknown: what is there now decides.
        }

        // A write does not tell its tag.
        var present = await ReadHeadAsync(former.Lane, cancellationToken);
        return present?.Head == head ? present : null;
    }

    /// <summary>Adds a lane that nobody owns and that nobody has used.</summary>
    public async Task<HeadAt?> CreateLaneAsync(CancellationToken cancellationToken)
    {
        var list = await GetAsync(LaneList.Key, cancellationToken);
        var names = list is null ? [] : LaneList.Read(list.Value).Names;
        var name = names.Count.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var head = new Head(null, 0, default, 0, 0);
        if (await ReadHeadAsync(name, cancellationToken) is null)
        {
            await TrySaveAsync(new StateWrite(Head.KeyOf(name), head.ToBytes(), null), cancellationToken);
        }

        var listed = new LaneList([.. names, name]).ToBytes();
        return await TrySaveAsync(new StateWrite(LaneList.Key, listed, list?.ETag), cancellationToken)
            ? await ReadHeadAsync(name, cancellationToken)
            : null;
    }

    /// <summary>
    /// Takes a lane over: the next epoch, a fence where the former owner's next segment would stand, then what was open is settled.
    /// </summary>
    /// <returns>The head with everything up to the fence settled, or null when another instance was faster.</returns>
    public async Task<HeadAt?> TakeAsync(HeadAt former, string owner, CancellationToken cancellationToken)
    {
        var epoch = former.Head.Epoch + 1;
        var taken = await TryWriteHeadAsync(
            former,
            former.Head with { Owner = owner, Epoch = epoch, LeaseUntil = time.GetUtcNow() + options.Lease },
            cancellationToken);
        if (taken is null)
        {
            return null;
        }

        var fence = new Segment(epoch, $"fence-{owner}-{epoch}", true, []);
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

        await SettleAsync(taken.Lane, taken.Head.Settled, number, cancellationToken);
        return await TryWriteHeadAsync(
            taken, taken.Head with { Settled = number, LeaseUntil = time.GetUtcNow() + options.Lease }, cancellationToken);
    }

    /// <summary>Puts a segment under a number that may be taken, and answers the one that stands there. Tries until that is known.</summary>
    public async Task<Segment> PutSegmentAsync(string lane, long number, Segment segment, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                if (await TrySaveAsync(new StateWrite(Segment.KeyOf(lane, number), segment.ToBytes(), null), cancellationToken))
                {
                    return segment;
                }
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // Unknown: what is there now decides.
            }

            try
            {
                if (await ReadSegmentAsync(lane, number, cancellationToken) is { } standing)
                {
                    return standing;
                }
            }
            catch (Exception) when (!cancellationToken.IsCancellationRequested)
            {
                // The store does not answer; nothing can go on before it does.
            }

            await Task.Delay(RetryDelay, time, cancellationToken);
        }
    }

    public async Task<Segment?> ReadSegmentAsync(string lane, long number, CancellationToken cancellationToken) =>
        await GetAsync(Segment.KeyOf(lane, number), cancellationToken) is { } value ? Segment.Read(value.Value) : null;

    /// <summary>Segments <paramref name="first"/>.. as far as they exist without a gap, at most <paramref name="count"/>.</summary>
    public async Task<IReadOnlyList<Segment>> ReadSegmentsAsync(string lane, long first, int count, CancellationToken cancellationToken)
    {
        var found = new List<Segment>();
        while (found.Count < count)
        {
            using var deadline = new CallDeadline(options.CallTimeout, time, cancellationToken);
            var read = Math.Min(SegmentsPerRead, count - found.Count);
            var from = first + found.Count;
            var values = await state.GetManyAsync([.. Enumerable.Range(0, read).Select(i => Segment.KeyOf(lane, from + i))], deadline.Token);
            var there = values.TakeWhile(value => value is not null).Select(value => Segment.Read(value!.Value)).ToArray();
            found.AddRange(there);
            if (there.Length < read)
            {
                break;
            }
        }

        return found;
    }

    /// <summary>The events of an entry; none when its stream does not hold the entry's commit.</summary>
    public async Task<IReadOnlyList<StoredEvent>> ReadCommittedAsync(SegmentEntry entry, TipAt at, CancellationToken cancellationToken)
    {
        if (entry.From > at.Tip.Version)
        {
            return [];
        }

        var stored = await streams.ReadAsync(at, entry.From - 1, (int)(entry.To - entry.From + 1), cancellationToken);
        return stored[0].CommitId == entry.CommitId ? stored : [];
    }

    /// <summary>
    /// Makes sure that a write which was given up cannot land any more: its tip is written as it is, under its tag, or created empty. To be
    /// called on a tip that does not hold the write. False: the tip has changed meanwhile; read it again.
    /// </summary>
    public async Task<bool> TouchAsync(TipAt at, CancellationToken cancellationToken)
    {
        try
        {
            return await TrySaveAsync(new StateWrite(Tip.KeyOf(at.Stream), at.Tip.ToBytes(), at.ETag), cancellationToken);
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            // Unknown, or the store's own word for "changed": the caller reads again.
            return false;
        }
    }

    private async Task SettleAsync(string lane, long settled, long fence, CancellationToken cancellationToken)
    {
        for (var number = settled + 1; number < fence; number++)
        {
            var segment = await ReadSegmentAsync(lane, number, cancellationToken)
                ?? throw new InvalidOperationException($"Segment {number} of lane {lane} is missing: the store has lost it.");
            foreach (var entry in segment.Entries)
            {
                await SettleAsync(entry, cancellationToken);
            }
        }
    }

    private async Task SettleAsync(SegmentEntry entry, CancellationToken cancellationToken)
    {
        while (true)
        {
            var at = await streams.ReadTipAsync(entry.Stream, cancellationToken);
            if (at.Tip.Version >= entry.From || await TouchAsync(at, cancellationToken))
            {
                return;
            }

            await Task.Delay(RetryDelay, time, cancellationToken);
        }
    }

    private async Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken)
    {
        using var deadline = new CallDeadline(options.CallTimeout, time, cancellationToken);
        return await state.GetAsync(key, deadline.Token);
    }

    private async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
    {
        using var deadline = new CallDeadline(options.CallTimeout, time, cancellationToken);
        return await state.TrySaveAsync(write, deadline.Token);
    }
}
