using System.Globalization;
using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>The classes of Dapr state stores that differ in what the event store sees.</summary>
public enum StoreClass
{
    /// <summary>True transactions; a write that comes too late is refused in so many words (in-memory, sqlite).</summary>
    Sqlite,

    /// <summary>True transactions; creating what exists fails with a general error (postgresql).</summary>
    Postgres,

    /// <summary>
    /// No rollback; creating what exists fails with a general error, and succeeds when it was not itself created so; a write with a tag to a
    /// missing key succeeds (redis).
    /// </summary>
    Redis,

    /// <summary>No transactions at all: several writes are several calls.</summary>
    Separate,
}

/// <summary>A state store with the exact semantics of its class; effects happen at once, faults are the caller's matter.</summary>
internal sealed class SimulatedStore(StoreClass kind)
{
    private readonly Dictionary<string, (byte[] Value, long Tag, bool CreatedOnly)> _entries = [];
    private long _tags;

    public StoreClass Kind { get; } = kind;

    public IEnumerable<string> Keys => _entries.Keys;

    public StateValue? Get(string key) =>
        _entries.TryGetValue(key, out var entry) ? new StateValue(entry.Value, Tag(entry.Tag)) : null;

    public bool TrySave(StateWrite write)
    {
        if (Allows(write))
        {
            Put(write);
            return true;
        }

        return write.ETag is null && Kind is StoreClass.Postgres or StoreClass.Redis
            ? throw new StoreFault("the key exists")
            : false;
    }

    public void Transact(IReadOnlyList<StateWrite> writes)
    {
        if (Kind == StoreClass.Redis)
        {
            var refused = 0;
            foreach (var write in writes)
            {
                if (Allows(write))
                {
                    Put(write);
                }
                else
                {
                    refused++;
                }
            }

            if (refused > 0)
            {
                throw new StoreFault("failed to set key");
            }

            return;
        }

        if (!writes.All(Allows))
        {
            throw new StoreFault("possible etag mismatch");
        }

        foreach (var write in writes)
        {
            Put(write);
        }
    }

    private bool Allows(StateWrite write) => _entries.TryGetValue(write.Key, out var entry)
        ? write.ETag == Tag(entry.Tag) || (Kind == StoreClass.Redis && write.ETag is null && !entry.CreatedOnly)
        : write.ETag is null || Kind == StoreClass.Redis;

    private void Put(StateWrite write) => _entries[write.Key] = (
        write.Value.ToArray(), NextTag(write.Key), write.ETag is null || (_entries.TryGetValue(write.Key, out var entry) && entry.CreatedOnly));

    // Redis counts per key, the others never give a tag twice.
    private long NextTag(string key) => Kind == StoreClass.Redis
        ? _entries.TryGetValue(key, out var entry) ? entry.Tag + 1 : 1
        : ++_tags;

    private static string Tag(long tag) => tag.ToString(CultureInfo.InvariantCulture);
}

internal sealed class StoreFault(string message) : Exception(message);
