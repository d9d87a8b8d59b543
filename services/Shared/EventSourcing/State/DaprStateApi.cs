using Dapr;
using Dapr.Client;
using Grpc.Core;

namespace DaprOrders.EventSourcing.State;

/// <summary>The Dapr state API over gRPC, which keeps bytes as they are (over HTTP daprd re-encodes numbers).</summary>
internal sealed class DaprStateApi(DaprClient dapr, IBulkStateReads bulk, EventStoreOptions options) : IStateApi
{
    private const string Cosmos = "state.azure.cosmosdb";
    private const string Redis = "state.redis";

    // Stores whose transactions roll back, as their sources say (components-contrib, state/*, Multi).
    private static readonly HashSet<string> AtomicStores =
    [
        "state.in-memory", "state.sqlite", "state.postgresql", "state.postgres", "state.cockroachdb", "state.yugabytedb", "state.yugabyte",
        "state.oracledatabase",
    ];

    // Stores that declare ETags and lose events all the same, or may, as their sources say (components-contrib 1.18, state/*, Set).
    private static readonly Dictionary<string, string> UnsafeStores = new()
    {
        ["state.sqlserver"] = "of two that create one key at once, both are told that they did",
        ["state.azure.sqlserver"] = "of two that create one key at once, both are told that they did",
        ["state.mysql"] = "with its default collation two keys that differ in case are one, and that of two that create one key at once only one is told so is not proven",
        ["state.etcd"] = "a write that lost its race is answered as written",
        ["state.ravendb"] = "of two that create one key at once, both are told that they did",
        ["state.zookeeper"] = "first-write without an ETag overwrites what exists",
        ["state.couchbase"] = "first-write without an ETag overwrites what exists",
        ["state.aerospike"] = "first-write without an ETag overwrites what exists",
        ["state.oci.objectstorage"] = "first-write without an ETag is refused",
        ["state.alicloud.tablestore"] = "ETags are never compared",
    };

    // Also where there is a tag: redis writes under a tag to a key that it has lost, and only what was written so is not overwritten by the next creation.
    private static readonly StateOptions FirstWrite = new() { Concurrency = ConcurrencyMode.FirstWrite };

    private BatchWrites _batches;
    private ConsistencyMode? _reads = ConsistencyMode.Strong;
    private bool _readsInBulk;

    public async Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken)
    {
        var metadata = await dapr.GetMetadataAsync(cancellationToken);
        var store = metadata.Components.FirstOrDefault(component => component.Name == options.StateStore)
            ?? throw new UnsuitableStateStoreException(
                $"The sidecar has no component named '{options.StateStore}'; it has: {string.Join(", ", metadata.Components.Select(c => c.Name))}.");
        var reason = store.Capabilities.Contains("ETAG") ? UnsafeStores.GetValueOrDefault(store.Type) : "it has no ETags";
        if (reason is not null)
        {
            throw new UnsuitableStateStoreException(
                $"An event store cannot be kept in the state store '{store.Name}' ({store.Type}) without losing events: {reason}.");
        }

        var rollsBack = AtomicStores.Contains(store.Type);
        if (options.BatchWrites == BatchWrites.Atomic && !rollsBack)
        {
            throw new UnsuitableStateStoreException(
                $"EventStore:BatchWrites is Atomic, but that a transaction of the state store '{store.Name}' ({store.Type}) writes all or nothing is not known"
                + $"{(store.Type == Redis ? ": on redis a refused operation leaves the others written, and what exists is overwritten as if it were new" : "")}"
                + "; expected Separate, or no setting.");
        }

        // A bulk read cannot ask for consistency: elsewhere (dynamodb, cosmosdb) it may answer what is no longer so.
        _readsInBulk = store.Type == Redis || rollsBack;

        // Where the default is another (dynamodb). Cosmos DB takes "strong" for "session", which is weaker than what its account may be set to.
        _reads = store.Type == Cosmos ? null : ConsistencyMode.Strong;
        return _batches = options.BatchWrites ?? (rollsBack ? BatchWrites.Atomic : BatchWrites.Separate);
    }

    public async Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken)
    {
        var (value, etag) = await dapr.GetByteStateAndETagAsync(options.StateStore, key, _reads, cancellationToken: cancellationToken);
        return string.IsNullOrEmpty(etag) ? null : new StateValue(value, etag);
    }

    public async Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        if (keys.Count == 1 || !_readsInBulk)
        {
            return await Task.WhenAll(keys.Select(key => GetAsync(key, cancellationToken)));
        }

        try
        {
            var found = await bulk.ReadAsync(options.StateStore, keys, parallelism: 0, cancellationToken);
            return [.. keys.Select(found.GetValueOrDefault)];
        }
        catch (DaprException exception) when (exception.InnerException is RpcException { StatusCode: StatusCode.ResourceExhausted })
        {
            // The answer is above what one side takes in a message, 4 MiB unless it is set otherwise.
            var half = keys.Count / 2;
            return
            [
                .. await GetManyAsync([.. keys.Take(half)], cancellationToken),
                .. await GetManyAsync([.. keys.Skip(half)], cancellationToken),
            ];
        }
    }

    public async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
    {
        if (write.ETag is not null)
        {
            return await dapr.TrySaveByteStateAsync(
                options.StateStore, write.Key, write.Value, write.ETag, FirstWrite, cancellationToken: cancellationToken);
        }

        try
        {
            await dapr.SaveByteStateAsync(options.StateStore, write.Key, write.Value, FirstWrite, cancellationToken: cancellationToken);
            return true;
        }
        catch (DaprException exception) when (exception.InnerException is RpcException { StatusCode: StatusCode.Aborted })
        {
            return false;
        }
    }

    public Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) => _batches == BatchWrites.Atomic
        ? dapr.ExecuteStateTransactionAsync(
            options.StateStore,
            [.. writes.Select(write => new StateTransactionRequest(
                write.Key, write.Value.ToArray(), StateOperationType.Upsert, write.ETag, options: FirstWrite))],
            cancellationToken: cancellationToken)
        : dapr.SaveBulkStateAsync(
            options.StateStore,
            [.. writes.Select(write => new SaveStateItem<RawJson>(
                write.Key, new RawJson(write.Value), write.ETag!, FirstWrite))],
            cancellationToken);
}
