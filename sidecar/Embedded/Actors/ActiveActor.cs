using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Actors;

/// <summary>An actor between its first call and its deactivation.</summary>
internal sealed class ActiveActor
{
    private readonly TimeSpan _idleTimeout;
    private readonly TimeProvider _time;
    private readonly ITimer _idleTimer;
    private readonly TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _lastUsed;

    public ActiveActor(ActorKey key, ActorSettings settings, TimeProvider time, Action<ActiveActor> onIdle)
    {
        Key = key;
        Turns = new(settings.MaxStackDepth);
        _idleTimeout = settings.IdleTimeout;
        _time = time;
        _lastUsed = time.GetTimestamp();
        // One timer per actor that is set again only when it runs out: a call costs it a single write. It may run out at once, and looks at the field.
        _idleTimer = time.CreateTimer(_ => CheckIdle(onIdle), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _idleTimer.Change(Wait(_idleTimeout), Timeout.InfiniteTimeSpan);
    }

    public ActorKey Key { get; }

    public ActorTurns Turns { get; }

    /// <summary>Ends when the application was told of the deactivation.</summary>
    public Task Gone => _gone.Task;

    /// <summary>At the start of a turn: from then on the time counts, however long the call takes, as in daprd.</summary>
    public void Touch() => Volatile.Write(ref _lastUsed, _time.GetTimestamp());

    public void End()
    {
        _idleTimer.Dispose();
        _gone.TrySetResult();
    }

    private void CheckIdle(Action<ActiveActor> onIdle)
    {
        if (_time.GetElapsedTime(Volatile.Read(ref _lastUsed)) >= _idleTimeout)
            onIdle(this);
        if (!_gone.Task.IsCompleted)
            _idleTimer.Change(Wait(_idleTimeout - _time.GetElapsedTime(Volatile.Read(ref _lastUsed))), Timeout.InfiniteTimeSpan);
    }

    private static TimeSpan Wait(TimeSpan wanted) =>
        wanted > Waits.Longest ? Waits.Longest : wanted < TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : wanted;
}
