using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;

namespace DaprOrders.EventSourcing.Lanes;

internal enum AppendOutcome
{
    Committed,

    /// <summary>Certainly not committed. Read again and decide anew.</summary>
    Conflict,
}

/// <summary>One append that waits for its commit.</summary>
internal sealed class PendingAppend(TipAt former, Tip tip, IReadOnlyList<RecordedEvent> events, string? topic)
{
    private readonly TaskCompletionSource<AppendOutcome> _outcome = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string Stream => former.Stream;

    public string? FormerETag => former.ETag;

    public IReadOnlyDictionary<string, long> Positions => tip.Positions;

    /// <summary>The tip as it is to be, under the tag that the former one was read with.</summary>
    public StateWrite Write { get; } = new(Tip.KeyOf(former.Stream), tip.ToBytes(), former.ETag);

    public IReadOnlyList<RecordedEvent> Events { get; } = events;

    public string? Topic { get; } = topic;

    /// <summary>Commits that failed without this append being at fault.</summary>
    public int Attempts { get; set; }

    /// <summary>Nobody waits for it any more: it need not begin, though it ends if it has begun.</summary>
    public bool Abandoned => _outcome.Task.IsCompleted;

    public Task<AppendOutcome> Outcome => _outcome.Task;

    /// <summary>Null when only positions move: nothing to publish, nothing that a reader of the log must see.</summary>
    public SegmentEntry? Entry { get; } = events.Count == 0
        ? null
        : new SegmentEntry(former.Stream, events[0].Version, events[^1].Version, tip.CommitId!, topic);

    public void End(AppendOutcome outcome) => _outcome.TrySetResult(outcome);

    public void Fail(Exception exception) => _outcome.TrySetException(exception);

    public void Cancel(CancellationToken cancellationToken) => _outcome.TrySetCanceled(cancellationToken);
}
