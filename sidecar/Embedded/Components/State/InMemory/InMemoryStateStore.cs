using System.Collections.Concurrent;

namespace EmbeddedSidecar.Components.State.InMemory;

/// <summary>state.in-memory: kept by the process, gone with it.</summary>
internal sealed class InMemoryStateStore(TimeProvider time) : IStateStore
{
    private readonly ConcurrentDictionary<string, StateEntry> _entries = new();
    private readonly Lock _writing = new();

    public static ComponentType ComponentType { get; } = new(
        "state.in-memory",
        "v1",
        StateStoreFields.Common,
        (_, context, _) => Task.FromResult<IAsyncDisposable>(new InMemoryStateStore(context.Time)));

    public IReadOnlyList<string> Capabilities { get; } = ["ETAG", "TRANSACTIONAL", "TTL", "DELETE_WITH_PREFIX", "KEYS_LIKE"];

    public bool HidesEmptyValues => true;

    public bool RefusesUnknownOptions(bool ofDelete, bool inTransaction) => !(ofDelete && inTransaction);

    public int ReadTtl(string text) => StateTtl.ReadLoosely(text);

    public Task<StateEntry?> GetAsync(string key, CancellationToken cancellationToken) => Task.FromResult(Find(key));

    public Task<IReadOnlyList<StateEntry?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<StateEntry?>>(keys.Select(Find).ToArray());

    public Task<IReadOnlyList<StateStoreException?>> WriteAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        var results = new StateStoreException?[writes.Count];
        lock (_writing)
        {
            for (var i = 0; i < writes.Count; i++)
            {
                results[i] = Refusal(writes[i]);
                if (results[i] is null)
                    Apply(writes[i]);
            }
        }

        return Task.FromResult<IReadOnlyList<StateStoreException?>>(results);
    }

    /// <summary>As daprd's: every condition is looked at before the first write.</summary>
    public Task TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        lock (_writing)
        {
            foreach (var write in writes)
            {
                if (Refusal(write) is { } refusal)
                    return Task.FromException(refusal);
            }

            foreach (var write in writes)
                Apply(write);
        }

        return Task.CompletedTask;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private StateEntry? Find(string key) => _entries.TryGetValue(key, out var entry) && !IsExpired(entry) ? entry : null;

    private bool IsExpired(StateEntry entry) => entry.ExpiresAt is { } expiry && expiry <= time.GetUtcNow();

    private StateStoreException? Refusal(StateWrite write)
    {
        var current = Find(write.Key);
        if (write.ETag is { Length: > 0 } etag)
        {
            return current is null ? StateStoreException.Mismatch($"state not exist or expired for key={write.Key}")
                : current.ETag != etag ? StateStoreException.Mismatch($"state etag not match for key={write.Key}: current={current.ETag}, expect={etag}")
                : null;
        }

        return write.FirstWrite && current is not null
            ? StateStoreException.Mismatch("item already exists and no etag was passed")
            : null;
    }

    private void Apply(StateWrite write)
    {
        if (write is StateUpsert upsert)
        {
            var expiry = upsert.TtlSeconds is > 0 and { } ttl ? time.GetUtcNow().AddSeconds(ttl) : (DateTimeOffset?)null;
            _entries[upsert.Key] = new StateEntry(upsert.Value.ToArray(), Guid.NewGuid().ToString(), expiry);
        }
        else
        {
            _entries.TryRemove(write.Key, out _);
        }
    }
}
