using System.Text.Json.Nodes;
using DaprOrders.EventSourcing.Lanes;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>
/// Each takes one rule of the protocol away, between the event store and its state store, so that the shipped code needs no switches.
/// </summary>
internal abstract class Mutant(IStateApi inner) : IStateApi
{
    protected IStateApi Inner { get; } = inner;

    public Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken) => Inner.DescribeAsync(cancellationToken);

    public virtual Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) => Inner.GetAsync(key, cancellationToken);

    public virtual Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        Inner.GetManyAsync(keys, cancellationToken);

    public virtual Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken) => Inner.TrySaveAsync(write, cancellationToken);

    public virtual Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
        Inner.SaveManyAsync(writes, cancellationToken);

    protected static bool IsTip(string key) => key.StartsWith("stream|", StringComparison.Ordinal) && !key.Contains("|page|", StringComparison.Ordinal);

    protected static bool IsSegment(string key) => key.StartsWith("lane|", StringComparison.Ordinal) && key.Count(c => c == '|') == 2;

    protected async Task<StateWrite> UnderPresentTagAsync(StateWrite write, CancellationToken cancellationToken) =>
        write with { ETag = (await Inner.GetAsync(write.Key, cancellationToken))?.ETag };

    protected async Task<IReadOnlyList<StateWrite>> UnderPresentTagsAsync(
        IReadOnlyList<StateWrite> writes, Func<string, bool> which, CancellationToken cancellationToken)
    {
        var changed = new List<StateWrite>();
        foreach (var write in writes)
        {
            changed.Add(which(write.Key) ? await UnderPresentTagAsync(write, cancellationToken) : write);
        }

        return changed;
    }
}

/// <summary>Rule: the segment is written before, or together with, the tips of its batch. Here: after them.</summary>
internal sealed class SegmentAfterTips(IStateApi inner) : Mutant(inner)
{
    private StateWrite? _held;

    public override async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
    {
        if (IsSegment(write.Key) && !Segment.Read(write.Value).BatchId.StartsWith("fence-", StringComparison.Ordinal))
        {
            _held = write;
            return true;
        }

        return await base.TrySaveAsync(write, cancellationToken);
    }

    public override async Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        var segment = writes.FirstOrDefault(write => IsSegment(write.Key)) ?? _held;
        await base.SaveManyAsync([.. writes.Where(write => !IsSegment(write.Key))], cancellationToken);
        if (segment is not null)
        {
            await Inner.TrySaveAsync(segment, cancellationToken);
        }
    }
}

/// <summary>Rule: a tip is written under the ETag that it was read with. Here: under whatever it has now.</summary>
internal sealed class TipsWithoutETag(IStateApi inner) : Mutant(inner)
{
    public override async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken) =>
        await base.TrySaveAsync(IsTip(write.Key) ? await UnderPresentTagAsync(write, cancellationToken) : write, cancellationToken);

    public override async Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
        await base.SaveManyAsync(await UnderPresentTagsAsync(writes, IsTip, cancellationToken), cancellationToken);
}

/// <summary>Rule: a write whose answer was lost counts only if the tip holds its commit id. Here: if the tip has its versions.</summary>
internal sealed class VersionInsteadOfCommitId(IStateApi inner) : Mutant(inner)
{
    private readonly Dictionary<(string Key, long Version), string> _tried = [];

    public override async Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) =>
        Mistaken(key, await base.GetAsync(key, cancellationToken));

    public override async Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        [.. keys.Zip(await base.GetManyAsync(keys, cancellationToken), Mistaken)];

    public override Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
    {
        Note([write]);
        return base.TrySaveAsync(write, cancellationToken);
    }

    public override Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        Note(writes);
        return base.SaveManyAsync(writes, cancellationToken);
    }

    private void Note(IEnumerable<StateWrite> writes)
    {
        foreach (var write in writes.Where(write => IsTip(write.Key)))
        {
            var tip = Tip.Read(write.Value);
            foreach (var stored in tip.Events.Where(stored => stored.CommitId == tip.CommitId))
            {
                _tried[(write.Key, stored.Version)] = stored.CommitId;
            }
        }
    }

    private StateValue? Mistaken(string key, StateValue? value)
    {
        if (value is null || !IsTip(key))
        {
            return value;
        }

        var tip = Tip.Read(value.Value);
        var events = tip.Events.Select(stored => stored with { CommitId = _tried.GetValueOrDefault((key, stored.Version), stored.CommitId) });
        return value with { Value = (tip with { Events = [.. events] }).ToBytes() };
    }
}

/// <summary>Rule: a write that timed out is barred, by touching its tip, before it is called failed. Here: nothing is touched.</summary>
internal sealed class NoTouch(IStateApi inner) : Mutant(inner)
{
    public override async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken) =>
        (IsTip(write.Key) && await IsTouchAsync(write, cancellationToken)) || await base.TrySaveAsync(write, cancellationToken);

    private async Task<bool> IsTouchAsync(StateWrite write, CancellationToken cancellationToken) =>
        (await Inner.GetAsync(write.Key, cancellationToken) is { } present ? present.Value.Span : Tip.Empty.ToBytes()).SequenceEqual(write.Value.Span);
}

/// <summary>Rule: a new owner's fence stands where the former owner's next segment would. Here: segments replace one another.</summary>
internal sealed class NoFence(IStateApi inner) : Mutant(inner)
{
    public override async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken) =>
        await base.TrySaveAsync(IsSegment(write.Key) ? await UnderPresentTagAsync(write, cancellationToken) : write, cancellationToken);

    public override async Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
        await base.SaveManyAsync(await UnderPresentTagsAsync(writes, IsSegment, cancellationToken), cancellationToken);
}

/// <summary>Rule: a reader of the log stops at what is settled. Here: it takes the next segment too, if it is there.</summary>
internal sealed class NoSettledPosition(IStateApi inner) : Mutant(inner)
{
    public override async Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken)
    {
        var value = await base.GetAsync(key, cancellationToken);
        if (value is null || !key.StartsWith("lane|", StringComparison.Ordinal) || IsSegment(key))
        {
            return value;
        }

        var head = Head.Read(value.Value);
        var next = Segment.KeyOf(key["lane|".Length..], head.Settled + 1);
        return await base.GetAsync(next, cancellationToken) is null ? value : value with { Value = (head with { Settled = head.Settled + 1 }).ToBytes() };
    }
}

/// <summary>Rule: the answer to several writes is not believed where each is by itself. Here: the next look at them finds what was
/// to be written.</summary>
internal sealed class BulkAnswersBelieved(IStateApi inner) : Mutant(inner)
{
    private readonly Dictionary<string, ReadOnlyMemory<byte>> _last = [];

    public override async Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        await base.SaveManyAsync(writes, cancellationToken);
        foreach (var write in writes)
        {
            _last[write.Key] = write.Value;
        }
    }

    public override async Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        var values = await base.GetManyAsync(keys, cancellationToken);
        return [.. keys.Zip(values, (key, value) => _last.Remove(key, out var believed) ? new StateValue(believed, value?.ETag ?? "none") : value)];
    }
}

/// <summary>Rule: what was consumed is written down in the same write as what it led to. Here: nowhere.</summary>
internal sealed class NoPositions(IStateApi inner) : Mutant(inner)
{
    public override Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) => base.SaveManyAsync(
        [
            .. writes.Select(write => IsTip(write.Key)
                ? write with { Value = (Tip.Read(write.Value) with { Positions = Tip.Empty.Positions }).ToBytes() }
                : write),
        ],
        cancellationToken);
}

/// <summary>Rule: after a transaction that failed, an empty segment takes its number before it is called failed. Here: everybody only believes so.</summary>
internal sealed class NoEmptySegment(IStateApi inner, Dictionary<string, StateValue> pretended) : Mutant(inner)
{
    public override async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
    {
        if (!IsSegment(write.Key) || !Segment.Read(write.Value).BatchId.EndsWith("-none", StringComparison.Ordinal))
        {
            return await base.TrySaveAsync(write, cancellationToken);
        }

        if (await base.GetAsync(write.Key, cancellationToken) is not null)
        {
            return false;
        }

        pretended[write.Key] = new StateValue(write.Value, "none");
        return true;
    }

    public override async Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) =>
        await base.GetAsync(key, cancellationToken) ?? pretended.GetValueOrDefault(key);

    public override async Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        [.. keys.Zip(await base.GetManyAsync(keys, cancellationToken), (key, value) => value ?? pretended.GetValueOrDefault(key))];
}

/// <summary>Rule: a page is written before the tip that drops its events. Here: after it.</summary>
internal sealed class PageAfterTip(IStateApi inner) : Mutant(inner)
{
    private readonly List<StateWrite> _held = [];

    public override async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
    {
        if (write.Key.Contains("|page|", StringComparison.Ordinal))
        {
            if (await base.GetAsync(write.Key, cancellationToken) is not null)
            {
                return false;
            }

            _held.Add(write);
            return true;
        }

        var saved = await base.TrySaveAsync(write, cancellationToken);
        await WriteHeldAsync([write], cancellationToken);
        return saved;
    }

    public override async Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        await base.SaveManyAsync(writes, cancellationToken);
        await WriteHeldAsync(writes, cancellationToken);
    }

    private async Task WriteHeldAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        foreach (var page in _held.FindAll(page => writes.Any(write => page.Key.StartsWith($"{write.Key}|page|", StringComparison.Ordinal))))
        {
            _held.Remove(page);
            await base.TrySaveAsync(page, cancellationToken);
        }
    }
}

/// <summary>Rule: the head says of what is published that it is. Here: of all that is settled; only its writer reads what it meant.</summary>
internal sealed class HeadPublishedAhead(IStateApi inner) : Mutant(inner)
{
    private readonly Dictionary<string, ReadOnlyMemory<byte>> _meant = [];

    public override Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
    {
        if (!IsHead(write.Key))
        {
            return base.TrySaveAsync(write, cancellationToken);
        }

        var head = Head.Read(write.Value);
        var ahead = (head with { Published = head.Settled }).ToBytes();
        _meant[Convert.ToBase64String(ahead)] = write.Value;
        return base.TrySaveAsync(write with { Value = ahead }, cancellationToken);
    }

    public override async Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) =>
        Meant(key, await base.GetAsync(key, cancellationToken));

    public override async Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        [.. keys.Zip(await base.GetManyAsync(keys, cancellationToken), Meant)];

    private static bool IsHead(string key) => key.StartsWith("lane|", StringComparison.Ordinal) && !IsSegment(key);

    private StateValue? Meant(string key, StateValue? value) =>
        value is not null && IsHead(key) && _meant.TryGetValue(Convert.ToBase64String(value.Value.Span), out var meant) ? value with { Value = meant } : value;
}

/// <summary>Takes one rule of the catch-up away.</summary>
internal abstract class CatchUpMutant : IPublisherLogs
{
    protected IPublisherLogs Inner { get; private set; } = null!;

    /// <summary>Stands before one consumer's way to the log.</summary>
    public IPublisherLogs Over(IPublisherLogs logs)
    {
        var mutant = (CatchUpMutant)MemberwiseClone();
        mutant.Inner = logs;
        return mutant;
    }

    /// <summary>What is kept of a document.</summary>
    public virtual string Written(string key, string json) => json;

    /// <summary>Before a delivery is handled.</summary>
    public virtual void Arrived(SimulatedConsumer consumer, RecordedEvent recorded)
    {
    }

    public Task<IReadOnlyList<LogLane>> ReadLanesAsync(string publisher, CancellationToken cancellationToken) => Inner.ReadLanesAsync(publisher, cancellationToken);

    public Task<LogPage> ReadLaneAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
        Inner.ReadLaneAsync(publisher, lane, after, limit, cancellationToken);

    public virtual Task<LogEntries> ReadEntriesAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
        Inner.ReadEntriesAsync(publisher, lane, after, limit, cancellationToken);

    public virtual Task<StreamEvents> ReadStreamsAsync(string publisher, IReadOnlyList<StreamRange> ranges, CancellationToken cancellationToken) =>
        Inner.ReadStreamsAsync(publisher, ranges, cancellationToken);
}

/// <summary>Rule: what no delivery brought is fetched from the log. Here: none of it.</summary>
internal sealed class NothingFetched : CatchUpMutant
{
    public override Task<StreamEvents> ReadStreamsAsync(string publisher, IReadOnlyList<StreamRange> ranges, CancellationToken cancellationToken) =>
        Task.FromResult(new StreamEvents([], ranges.Count));
}

/// <summary>Rule: the cursor stands before the first page of which something is missing. Here: after the last that was read.</summary>
internal sealed class CursorAhead : CatchUpMutant
{
    private readonly Dictionary<string, long> _read = [];

    public override async Task<LogEntries> ReadEntriesAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken)
    {
        var entries = await base.ReadEntriesAsync(publisher, lane, after, limit, cancellationToken);
        _read[SimulatedConsumer.CursorOf(lane)] = Math.Max(_read.GetValueOrDefault(SimulatedConsumer.CursorOf(lane)), entries.Next);
        return entries;
    }

    public override string Written(string key, string json)
    {
        if (!_read.TryGetValue(key, out var read))
        {
            return json;
        }

        var cursor = JsonNode.Parse(json)!;
        cursor["position"] = read;
        return cursor.ToJsonString();
    }
}

/// <summary>Rule: an event counts as handled when its handler has ended. Here: when it arrives.</summary>
internal sealed class HandledOnArrival : CatchUpMutant
{
    public override void Arrived(SimulatedConsumer consumer, RecordedEvent recorded) => consumer.Handled.Add(recorded.Stream, recorded.Version);
}
