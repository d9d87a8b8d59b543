using System.Diagnostics.CodeAnalysis;

namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>Messages that come again: those that failed when they have rested, those that were open at the last end at once.</summary>
internal sealed class Redelivery : IDisposable
{
    /// <summary>Timers and timestamps do not agree to the last tick.</summary>
    private static readonly TimeSpan Tolerance = TimeSpan.FromMilliseconds(1);

    private readonly Lock _lock = new();
    private readonly Queue<(long? Since, StoredMessage Message)> _resting = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;

    /// <param name="rest">How long a failed message rests.</param>
    /// <param name="time">By which that is measured.</param>
    /// <param name="wake">Called when one has rested.</param>
    public Redelivery(TimeSpan rest, TimeProvider time, Action wake)
    {
        (Rest, _time) = (rest, time);
        _timer = time.CreateTimer(
            _ =>
            {
                lock (_lock)
                    Arm();
                wake();
            },
            null,
            Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    public TimeSpan Rest { get; }

    public void AddOpen(StoredMessage message)
    {
        lock (_lock)
            _resting.Enqueue((null, message));
    }

    public void AddFailed(StoredMessage message)
    {
        lock (_lock)
        {
            _resting.Enqueue((_time.GetTimestamp(), message));
            if (_resting.Count == 1)
                Arm();
        }
    }

    /// <summary>After a rest, though no message may have failed.</summary>
    public void WakeLater()
    {
        lock (_lock)
            _timer.Change(Rest, Timeout.InfiniteTimeSpan);
    }

    public bool TryTake([NotNullWhen(true)] out StoredMessage? message)
    {
        lock (_lock)
        {
            message = null;
            if (_resting.Count == 0 || ToGo() > TimeSpan.Zero)
                return false;
            message = _resting.Dequeue().Message;
            Arm();
            return true;
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Arm()
    {
        if (_resting.Count > 0 && ToGo() is var toGo && toGo > TimeSpan.Zero)
            _timer.Change(toGo, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Until the first one has rested.</summary>
    private TimeSpan ToGo()
    {
        var toGo = _resting.Peek().Since is { } since ? Rest - _time.GetElapsedTime(since) : TimeSpan.Zero;
        return toGo > Tolerance ? toGo : TimeSpan.Zero;
    }
}
