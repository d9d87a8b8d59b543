namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>One subscription: what it takes at once, and how many such batches. Its counts are used under its group's lock.</summary>
internal sealed class Subscriber(int maxMessages, int maxOpen, Func<IMessageBatch, CancellationToken, Task> handler)
{
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isLeaving;
    private int _open;
    private int _running;

    public int MaxMessages { get; } = maxMessages;

    public Func<IMessageBatch, CancellationToken, Task> Handler { get; } = handler;

    public bool IsFree => _open < maxOpen;

    /// <summary>It has left, and nothing of it runs.</summary>
    public Task Left => _left.Task;

    public void Begin()
    {
        _open++;
        _running++;
    }

    /// <summary>A batch keeps the next one waiting no longer.</summary>
    public void LetNextCome() => _open--;

    public void End()
    {
        _running--;
        CompleteIfLeft();
    }

    public void Leave()
    {
        _isLeaving = true;
        CompleteIfLeft();
    }

    private void CompleteIfLeft()
    {
        if (_isLeaving && _running == 0)
            _left.TrySetResult();
    }
}
