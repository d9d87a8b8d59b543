using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Lanes;

internal enum AppendOutcome
{
    Committed,

    /// <summary>Certainly without effect. Read again and decide anew.</summary>
    Conflict,
}

/// <summary>
/// What waits to be written to one stream: the events of one command, and of those that came on top of it before it was taken into a batch. They
/// are one write, so they are committed together or not at all.
/// </summary>
internal sealed class PendingAppend(TipAt former, Tip tip, IReadOnlyList<RecordedEvent> events, string? topic)
{
    private readonly Lock _lock = new();
    private readonly List<TaskCompletionSource<AppendOutcome>> _commands = [NewWait()];
    private TaskCompletionSource<AppendOutcome>? _watcher;
    private AppendOutcome? _outcome;
    private bool _isTaken;

    public string Stream => former.Stream;

    public string? FormerETag => former.ETag;

    /// <summary>The tip as it is to be.</summary>
    public Tip Tip { get; private set; } = tip;

    /// <summary>That tip, under the tag that the former one was read with.</summary>
    public StateWrite Write { get; private set; } = new(Tip.KeyOf(former.Stream), tip.ToBytes(), former.ETag);

    public IReadOnlyList<RecordedEvent> Events { get; private set; } = events;

    public string? Topic => topic;

    /// <summary>Commits that failed without this append being at fault.</summary>
    public int Attempts { get; set; }

    /// <summary>Null when only positions move: nothing to publish, nothing that a reader of the log must see.</summary>
    public SegmentEntry? Entry => Events.Count == 0
        ? null
        : new SegmentEntry(Stream, Events[0].Version, Events[^1].Version, Tip.CommitId!, topic, Events.Sum(e => (long)e.Bytes));

    /// <summary>The command that began it.</summary>
    public TaskCompletionSource<AppendOutcome> First => _commands[0];

    /// <summary>The tip that another command may be put on top of; null when it is too late.</summary>
    public TipAt? Open
    {
        get
        {
            lock (_lock)
            {
                return _isTaken ? null : former with { Tip = Tip };
            }
        }
    }

    /// <summary>Puts a command on top, whose outcome is then that of the whole; null when it is too late.</summary>
    /// <param name="next">What follows <see cref="Open"/>, which nobody else may have changed.</param>
    /// <param name="grown">The bytes by which the write has grown.</param>
    public TaskCompletionSource<AppendOutcome>? TryAdd(Tip next, IReadOnlyList<RecordedEvent> added, out int grown)
    {
        grown = 0;
        var write = Write with { Value = next.ToBytes() };
        var command = NewWait();
        lock (_lock)
        {
            if (_isTaken)
            {
                return null;
            }

            grown = write.Value.Length - Write.Value.Length;
            (Tip, Write, Events) = (next, write, [.. Events, .. added]);
            _commands.Add(command);
            return command;
        }
    }

    /// <summary>Waits for the outcome without being part of it. For one at a time: whoever has the stream's turn.</summary>
    public TaskCompletionSource<AppendOutcome> Watch()
    {
        var watcher = NewWait();
        lock (_lock)
        {
            if (_outcome is { } outcome)
            {
                watcher.SetResult(outcome);
            }
            else
            {
                _watcher = watcher;
            }
        }

        return watcher;
    }

    /// <summary>From now on it stays as it is. False: nobody waits for it any more, so it need not begin.</summary>
    public bool TryTake()
    {
        lock (_lock)
        {
            _isTaken = true;
            return !_commands.TrueForAll(command => command.Task.IsCompleted);
        }
    }

    public void End(AppendOutcome outcome)
    {
        _commands.ForEach(command => command.TrySetResult(outcome));
        TellWatcher(outcome);
    }

    /// <summary>It is certainly not committed, and trying again has no prospect.</summary>
    public void Fail(Exception exception)
    {
        _commands.ForEach(command => command.TrySetException(exception));
        TellWatcher(AppendOutcome.Conflict);
    }

    private void TellWatcher(AppendOutcome outcome)
    {
        lock (_lock)
        {
            _outcome = outcome;
            _watcher?.TrySetResult(outcome);
        }
    }

    private static TaskCompletionSource<AppendOutcome> NewWait() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
