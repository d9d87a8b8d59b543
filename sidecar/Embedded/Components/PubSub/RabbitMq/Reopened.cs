namespace EmbeddedSidecar.Components.PubSub.RabbitMq;

/// <summary>
/// One thing that all use, a connection or a channel. Who finds it lost opens it anew, who comes meanwhile waits for the same try; there is no other
/// try than somebody's.
/// </summary>
internal sealed class Reopened<T>(Func<Task<T>> open, Func<T, bool> isOpen) : IAsyncDisposable
    where T : class, IAsyncDisposable
{
    private readonly Lock _lock = new();
    private Task<T>? _current;
    private bool _isDisposed;

    public bool IsOpen
    {
        get
        {
            lock (_lock)
                return IsUsable(_current);
        }
    }

    /// <exception cref="ObjectDisposedException">It is over.</exception>
    public Task<T> GetAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isDisposed, this);
            if (_current is null || (_current.IsCompleted && !IsUsable(_current)))
                _current = OpenAsync(_current);
            return _current.WaitAsync(cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task<T>? last;
        lock (_lock)
        {
            _isDisposed = true;
            last = _current;
        }

        await DiscardAsync(last);
    }

    private bool IsUsable(Task<T>? one) => one is { IsCompletedSuccessfully: true } && isOpen(one.Result);

    private async Task<T> OpenAsync(Task<T>? lost)
    {
        // Not under the lock of who asked.
        await Task.Yield();
        await DiscardAsync(lost);
        return await open();
    }

    private static async Task DiscardAsync(Task<T>? one)
    {
        if (one is null)
            return;
        await ((Task)one).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (one.IsCompletedSuccessfully)
            await one.Result.DisposeAsync();
    }
}
