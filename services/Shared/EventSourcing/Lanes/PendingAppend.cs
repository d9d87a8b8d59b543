using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Lanes;

internal enum AppendOutcome
{
    Committed,

    /// <summary>Certainly not committed: the tip is another one. Read again and decide anew.</summary>
    Conflict,
}

/// <summary>One append that waits for its commit.</summary>
internal sealed class PendingAppend(TipAt former, Tip tip, IReadOnlyList<RecordedEvent> events, string? topic, CancellationToken cancellationToken)
{
    private readonly TaskCompletionSource<AppendOutcome> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TipAt Former { get; } = former;

    public Tip Tip { get; } = tip;

    public byte[] Bytes { get; } = tip.ToBytes();

    public string Stream => Former.Stream;

    public IReadOnlyList<RecordedEvent> Events { get; } = events;

    public string? Topic { get; } = topic;

    /// <summary>Commits that failed without this append being at fault.</summary>
    public int Attempts { get; set; }

    public bool Abandoned => cancellationToken.IsCancellationRequested || _outcome.Task.IsCompleted;

    public Task<AppendOutcome> Outcome => _outcome.Task;

    /// <summary>Null when only positions move: nothing to publish, nothing that a reader of the log must see.</summary>
    public SegmentEntry? Entry => Events.Count == 0
        ? null
        : new SegmentEntry(Stream, Events[0].Version, Events[^1].Version, Tip.CommitId!, Topic);

    public void End(AppendOutcome outcome) => _outcome.TrySetResult(outcome);

    public void Fail(Exception exception) => _outcome.TrySetException(exception);
}
