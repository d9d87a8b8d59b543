using System.Globalization;
using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>The classes of Dapr state stores that differ in what the event store sees.</summary>
public enum StoreClass
{
    /// <summary>True transactions; whatever is refused is refused in so many words (in-memory, sqlite).</summary>
    Sqlite,

    /// <summary>True transactions; creating what exists fails with a general error (postgresql).</summary>
    Postgres,

    /// <summary>
    /// No rollback; creating what exists fails with a general error, and succeeds where it was not itself created so, which no transaction
    /// does; a write with a tag to a missing key succeeds (redis).
    /// </summary>
    Redis,

    /// <summary>No transactions at all (mongodb, dynamodb, as they are used here).</summary>
    Separate,
}

/// <summary>What a call of the sidecar answers.</summary>
public enum Answer
{
    Written,

    /// <summary>Aborted, 409: the tag is another one, or the key exists.</summary>
    Refused,

    /// <summary>Internal, 500: a general error.</summary>
    Failed,
}

/// <summary>One write: <c>Value</c> null deletes; <c>FirstWrite</c> without a tag creates.</summary>
public sealed record SimulatedWrite(string Key, byte[]? Value, string? ETag, bool FirstWrite);

/// <summary>
/// A state store with the exact semantics of its class, which <c>RecordedStoreTests</c> compares with what a daprd answered; effects
/// happen at once, faults are the caller's matter.
/// </summary>
internal sealed class SimulatedStore(StoreClass kind)
{
    private readonly Dictionary<string, Entry> _entries = [];
    private readonly Stack<(string Key, Entry? Former)> _journal = [];
    private long _tags;

    public StoreClass Kind { get; } = kind;

    public IEnumerable<string> Keys => _entries.Keys;

    private bool IsRedis => Kind == StoreClass.Redis;

    public StateValue? Get(string key) => _entries.TryGetValue(key, out var entry) ? Value(entry) : null;

    /// <summary>As the event store's interface tells it.</summary>
    /// <exception cref="StoreFault">It failed with a general error.</exception>
    public bool TrySave(StateWrite write) => Save(Simulated(write)) switch
    {
        Answer.Failed => throw new StoreFault("failed to set key"),
        var answer => answer == Answer.Written,
    };

    /// <exception cref="StoreFault">It was refused: with a general error, whatever the reason.</exception>
    public bool Transact(IReadOnlyList<StateWrite> writes) =>
        Transact([.. writes.Select(Simulated)]) == Answer.Written ? true : throw new StoreFault("possible etag mismatch");

    public Answer Save(SimulatedWrite write) => Apply(write, inTransaction: false);

    /// <summary>Each by itself; one general error among the failures makes all of them one.</summary>
    public Answer SaveMany(IEnumerable<SimulatedWrite> writes) =>
        writes.Aggregate(Answer.Written, (worst, write) => (Answer)Math.Max((int)worst, (int)Save(write)));

    public Answer Transact(IReadOnlyList<SimulatedWrite> writes)
    {
        if (IsRedis)
        {
            return writes.Select(write => Apply(write, inTransaction: true)).ToArray().All(answer => answer == Answer.Written) ? Answer.Written : Answer.Failed;
        }

        if (!writes.All(Allows))
        {
            return Answer.Failed;
        }

        foreach (var write in writes)
        {
            Put(write, inTransaction: true);
        }

        return Answer.Written;
    }

    private Answer Apply(SimulatedWrite write, bool inTransaction)
    {
        if (IsRedis && write is { ETag: not null, Value: not null } && !long.TryParse(write.ETag, CultureInfo.InvariantCulture, out _))
        {
            return Answer.Failed;
        }

        if (!Allows(write))
        {
            return write.ETag is null && Kind is StoreClass.Postgres or StoreClass.Redis ? Answer.Failed : Answer.Refused;
        }

        Put(write, inTransaction);
        return Answer.Written;
    }

    private bool Allows(SimulatedWrite write)
    {
        if (!_entries.TryGetValue(write.Key, out var entry))
        {
            return write.ETag is null || IsRedis;
        }

        if (write.ETag is not null)
        {
            return write.ETag == Text(entry.Tag);
        }

        return write.Value is null || (IsRedis ? !entry.Marked : !write.FirstWrite);
    }

    /// <summary>The store loses the latest writes, as one does that is restored from a copy of itself.</summary>
    /// <returns>How many there were to lose.</returns>
    public int GoBack(int writes)
    {
        var lost = Math.Min(writes, _journal.Count);
        for (var i = 0; i < lost; i++)
        {
            var (key, former) = _journal.Pop();
            if (former is { } entry)
            {
                _entries[key] = entry;
            }
            else
            {
                _entries.Remove(key);
            }
        }

        return lost;
    }

    private void Put(SimulatedWrite write, bool inTransaction)
    {
        _journal.Push((write.Key, _entries.TryGetValue(write.Key, out var present) ? present : null));
        if (write.Value is null)
        {
            _entries.Remove(write.Key);
            return;
        }

        var former = present;
        _entries[write.Key] = new Entry(
            write.Value,
            // Redis counts per key, the others never give a tag twice.
            IsRedis ? former.Tag + 1 : ++_tags,
            former.Marked || (write.FirstWrite && !inTransaction));
    }

    private static StateValue Value(Entry entry) => new(entry.Value, Text(entry.Tag));

    private static SimulatedWrite Simulated(StateWrite write) => new(write.Key, write.Value.ToArray(), write.ETag, FirstWrite: true);

    private static string Text(long tag) => tag.ToString(CultureInfo.InvariantCulture);

    /// <summary><c>Marked</c>: on redis, first-write is remembered, and from then on a write without a tag is refused.</summary>
    private readonly record struct Entry(byte[] Value, long Tag, bool Marked);
}

internal sealed class StoreFault(string message) : Exception(message);
