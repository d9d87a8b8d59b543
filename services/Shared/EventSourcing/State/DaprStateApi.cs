using System.Text;
using Dapr;
using Dapr.Client;
using Grpc.Core;

namespace DaprOrders.EventSourcing.State;

/// <summary>The Dapr state API over gRPC, which keeps bytes as they are (over HTTP daprd re-encodes numbers).</summary>
internal sealed class DaprStateApi(DaprClient dapr, EventStoreOptions options) : IStateApi
{
    // Stores whose transactions roll back, as their sources say. Redis has transactions by name only.
    private static readonly string[] AtomicStores =
    [
        "state.in-memory", "state.sqlite", "state.postgresql", "state.postgres", "state.cockroachdb", "state.mysql",
        "state.sqlserver", "state.azure.sqlserver", "state.oracledatabase",
    ];

    private static readonly StateOptions CreateOnly = new() { Concurrency = ConcurrencyMode.FirstWrite };

    private BatchWrites _batches;

    public async Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken)
    {
        var metadata = await dapr.GetMetadataAsync(cancellationToken);
        var store = metadata.Components.FirstOrDefault(component => component.Name == options.StateStore)
            ?? throw new InvalidOperationException(
                $"The sidecar has no component named '{options.StateStore}'; it has: {string.Join(", ", metadata.Components.Select(c => c.Name))}.");
        if (!store.Capabilities.Contains("ETAG"))
        {
            throw new InvalidOperationException(
                $"The state store '{store.Name}' ({store.Type}) has no ETags; an event store cannot be kept in it without losing events.");
        }

        return _batches = options.BatchWrites
            ?? (AtomicStores.Contains(store.Type) ? BatchWrites.Atomic
                : store.Capabilities.Contains("TRANSACTIONAL") ? BatchWrites.WithoutRollback
                : BatchWrites.Separate);
    }

    public async Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken)
    {
        var (value, etag) = await dapr.GetByteStateAndETagAsync(options.StateStore, key, cancellationToken: cancellationToken);
        return string.IsNullOrEmpty(etag) ? null : new StateValue(value, etag);
    }

    public async Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        if (keys.Count == 0)
        {
            return [];
        }

        if (keys.Count == 1)
        {
            return [await GetAsync(keys[0], cancellationToken)];
        }

        var items = await dapr.GetBulkStateAsync(options.StateStore, keys, parallelism: 0, cancellationToken: cancellationToken);
        var byKey = new Dictionary<string, StateValue>(items.Count);
        foreach (var item in items)
        {
            if (!string.IsNullOrEmpty(item.ETag))
            {
                byKey[item.Key] = new StateValue(Encoding.UTF8.GetBytes(item.Value), item.ETag);
            }
        }

        return [.. keys.Select(byKey.GetValueOrDefault)];
    }

    public async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
    {
        if (write.ETag is not null)
        {
            return await dapr.TrySaveByteStateAsync(
                options.StateStore, write.Key, write.Value, write.ETag, cancellationToken: cancellationToken);
        }

        try
        {
            await dapr.SaveByteStateAsync(options.StateStore, write.Key, write.Value, CreateOnly, cancellationToken: cancellationToken);
            return true;
        }
        catch (DaprException exception) when (exception.InnerException is RpcException { StatusCode: StatusCode.Aborted })
        {
            return false;
        }
    }

    public async Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        if (_batches == BatchWrites.Separate)
        {
            var written = await Task.WhenAll(writes.Select(write => TrySaveAsync(write, cancellationToken)));
            if (written.Contains(false))
            {
                throw new InvalidOperationException("At least one of the writes was refused.");
            }

            return;
        }

        var operations = new StateTransactionRequest[writes.Count];
        for (var i = 0; i < operations.Length; i++)
        {
            var write = writes[i];
            operations[i] = new StateTransactionRequest(
                write.Key, write.Value.ToArray(), StateOperationType.Upsert, write.ETag, options: write.ETag is null ? CreateOnly : null);
        }

        await dapr.ExecuteStateTransactionAsync(options.StateStore, operations, cancellationToken: cancellationToken);
    }
}
