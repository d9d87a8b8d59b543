namespace EmbeddedSidecar.Components.PubSub;

/// <summary>One subscription to a topic of a broker: it ends once, and not before all that it has in hand is settled.</summary>
internal abstract class BrokerSubscription : IAsyncDisposable
{
    private readonly CancellationTokenSource _ending;
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _tried = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _lock = new();

    /// <summary>The subscription itself counts as one.</summary>
    private int _inHand = 1;
    private Task? _disposed;

    /// <param name="stopping">Of the component: nothing is waited for any more.</param>
    protected BrokerSubscription(CancellationToken stopping)
    {
        Stopping = stopping;
        _ending = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        Ended = _ending.Token;
    }

    /// <summary>Disposed of, or about to be.</summary>
    public bool IsEnding => Ended.IsCancellationRequested;

    /// <summary>What runs is cut off.</summary>
    protected CancellationToken Stopping { get; }

    /// <summary>Nothing new is begun; what runs goes on.</summary>
    protected CancellationToken Ended { get; }

    /// <summary>The subscription has ended, and has nothing in hand.</summary>
    protected Task Idle => _idle.Task;

    /// <summary>Itself, once <see cref="Tried"/>; it ends where nobody waits so long.</summary>
    public async Task<IAsyncDisposable> OnceTriedAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _tried.Task.WaitAsync(cancellationToken);
            return this;
        }
        catch (OperationCanceledException)
        {
            await DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync()
    {
        lock (_lock)
            return new(_disposed ??= EndAsync());
    }

    /// <summary>It has begun, or has failed to once and is tried again.</summary>
    protected void Tried() => _tried.TrySetResult();

    protected void Enter() => Interlocked.Increment(ref _inHand);

    /// <summary>False once the end has begun.</summary>
    protected bool TryEnter()
    {
        lock (_lock)
        {
            if (_disposed is not null)
                return false;
            Enter();
            return true;
        }
    }

    protected void Leave()
    {
        if (Interlocked.Decrement(ref _inHand) == 0)
            _idle.SetResult();
    }

    /// <summary>Completes when nothing more can come to hand.</summary>
    protected abstract Task TakesNoMoreAsync();

    /// <summary>Lets go of the broker, when all is settled.</summary>
    protected abstract ValueTask CloseAsync();

    private async Task EndAsync()
    {
        // Known at once: what fails from now on is the next one's.
        await _ending.CancelAsync();
        await TakesNoMoreAsync();
        Leave();
        await Idle;
        await CloseAsync();
        _ending.Dispose();
    }
}
