namespace DaprOrders.EventSourcing.State;

/// <summary>
/// Ends every call within a timeout, on the given clock; whatever fails, but for the caller's own cancellation, is an
/// <see cref="EventStoreUnavailableException"/>, after which the call's effect is unknown.
/// </summary>
internal sealed class BoundedStateApi(IStateApi inner, TimeSpan timeout, TimeProvider time) : IStateApi
{
    public Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken) =>
        CallAsync(inner.DescribeAsync, "describe", "itself", cancellationToken);

    public Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) =>
        CallAsync(token => inner.GetAsync(key, token), "read", key, cancellationToken);

    public Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) => keys.Count == 0
        ? Task.FromResult<IReadOnlyList<StateValue?>>([])
        : CallAsync(token => inner.GetManyAsync(keys, token), "read", keys[0], cancellationToken);

    public Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken) =>
        CallAsync(token => inner.TrySaveAsync(write, token), "write", write.Key, cancellationToken);

    public Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) => CallAsync(
        async token =>
        {
            await inner.SaveManyAsync(writes, token);
            return true;
        },
        "write",
        writes[0].Key,
        cancellationToken);

    private async Task<T> CallAsync<T>(Func<CancellationToken, Task<T>> call, string verb, string key, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await call(either.Token);
        }
        catch (Exception exception) when (exception is not UnsuitableStateStoreException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var how = limit.IsCancellationRequested ? $"did not answer within {timeout.TotalSeconds} s" : "failed";
            throw new EventStoreUnavailableException($"The state store {how} when it was to {verb} {key}. Try again later.", exception);
        }
    }
}
