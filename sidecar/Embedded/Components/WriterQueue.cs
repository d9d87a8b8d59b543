namespace EmbeddedSidecar.Components;

/// <summary>
/// What waits for the one thread that writes a file: it takes whatever came while it wrote the last of it. The thread sleeps while there is
/// nothing; spinning, on few cores, would keep those from working that it waits for.
/// </summary>
internal sealed class WriterQueue<T> : IDisposable
{
    private readonly Lock _lock = new();
    private readonly ManualResetEventSlim _hasWork = new(initialState: false, spinCount: 0);
    private List<T> _queued = [];
    private volatile bool _isClosed;

    public bool IsClosed => _isClosed;

    /// <returns>False: it is closed, and the work is not taken.</returns>
    public bool TryAdd(T work)
    {
        lock (_lock)
        {
            if (_isClosed)
                return false;
            _queued.Add(work);
            _hasWork.Set();
            return true;
        }
    }

    /// <summary>Exchanges the list, which is emptied, for what has queued, once there is something.</summary>
    /// <returns>False: it is closed, and everything was taken.</returns>
    public bool TakeAll(ref List<T> taken)
    {
        taken.Clear();
        _hasWork.Wait();
        lock (_lock)
        {
            (taken, _queued) = (_queued, taken);
            if (!_isClosed)
                _hasWork.Reset();
            return taken.Count > 0;
        }
    }

    /// <summary>What has queued is still taken.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _isClosed = true;
            _hasWork.Set();
        }
    }

    public void Dispose() => _hasWork.Dispose();
}
