
namespace EmbeddedSidecar.Components.State;

/// <summary>A store whose every operation is shown first; what is thrown there is a failure of the store.</summary>
internal sealed class WatchedStateStore(IStateStore store, string component, string appId, BeforeSidecarCall before) : IStateStore
{
    public IReadOnlyList<string> Capabilities => store.Capabilities;

    public bool HidesEmptyValues => store.HidesEmptyValues;

    public bool AnswersKeysOnce => store.AnswersKeysOnce;

    public bool RefusesUnknownOptions(bool ofDelete, bool inTransaction) => store.RefusesUnknownOptions(ofDelete, inTransaction);

    public int ReadTtl(string text) => store.ReadTtl(text);

    public async Task<StateEntry?> GetAsync(string key, CancellationToken cancellationToken)
    {
        await ShowAsync("get", [key], [], cancellationToken);
        return await store.GetAsync(key, cancellationToken);
    }

    public async Task<IReadOnlyList<StateEntry?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        await ShowAsync("bulk_get", keys, [], cancellationToken);
        return await store.GetManyAsync(keys, cancellationToken);
    }

    public async Task<IReadOnlyList<StateStoreException?>> WriteAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        try
        {
            await ShowAsync("set", writes, cancellationToken);
        }
        catch (StateStoreException e)
        {
            return [.. writes.Select(_ => e)];
        }

        return await store.WriteAsync(writes, cancellationToken);
    }

    public async Task TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        await ShowAsync("transaction", writes, cancellationToken);
        await store.TransactAsync(writes, cancellationToken);
    }

    public ValueTask DisposeAsync() => store.DisposeAsync();

    private ValueTask ShowAsync(string operation, IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) => ShowAsync(
        operation, [.. writes.Select(write => write.Key)], [.. writes.Select(write => write is StateUpsert upsert ? upsert.Value : default)], cancellationToken);

    private async ValueTask ShowAsync(
        string operation, IReadOnlyList<string> keys, IReadOnlyList<ReadOnlyMemory<byte>> values, CancellationToken cancellationToken)
    {
        try
        {
            await before(new SidecarCall(appId, component, operation, keys, values), cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new StateStoreException(StateFailure.Other, e.Message, e);
        }
    }
}
