using System.Runtime.InteropServices;
using System.Text.Json;
using DaprOrders.EventSourcing.Lanes;

namespace DaprOrders.EventSourcing.Streams;

/// <summary>What a command comes to on a state: events or positions to write, or nothing, maybe with a refusal.</summary>
internal sealed record Proposal(
    bool Writes, IReadOnlyList<Caused> Events, IReadOnlyDictionary<string, long> Positions, Refusal? Refusal);

/// <summary>A new event, and what it goes back to.</summary>
internal sealed record Caused(object Payload, string? CorrelationId, string? CausationId, string? SpanId, string? FoundBy = null);

/// <summary>
/// Brings commands to their commits: each in its turn, on what is committed or on top of what is about to be, and again when another instance was
/// faster.
/// </summary>
internal sealed class StreamCommands(
    StreamStorage streams, StreamFolder folder, Committer committer, StoreHistory history, CommandsAtWork atWork, EventTypes types, string incarnation,
    EventStoreOptions options, TimeProvider time)
{
    private const int AttemptsUntilBusy = 50;

    private readonly StreamTurns _turns = new(options.CommitTimeout, time);
    private long _commits;

    /// <param name="propose">What the command comes to on a state; may be asked several times, also on a state that is not committed yet.</param>
    /// <exception cref="EventStoreUnavailableException">Nothing was acknowledged.</exception>
    public async Task<Handled<TState>> ExecuteAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        bool likelyNew,
        Func<StreamState<TState>, TipAt, CancellationToken, Task<Proposal>> propose,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        var stream = category.StreamOf(id);
        using var admitted = Admit();
        for (var attempt = 0; attempt < AttemptsUntilBusy; attempt++)
        {
            Queued<TState> queued;
            bool assumeNew;
            using (await _turns.TakeAsync(stream, cancellationToken))
            {
                var pending = committer.PendingOn(stream);
                assumeNew = likelyNew && attempt == 0 && pending is null;
                try
                {
                    queued = (pending is null ? null : await JoinAsync(category, pending, propose, cancellationToken))
                        ?? await BeginAsync(category, stream, assumeNew, propose, cancellationToken);
                }
                catch (Exception exception) when (assumeNew && exception is not EventStoreUnavailableException and not OperationCanceledException)
                {
                    // What was wrong on a stream that was only thought to be new may be right on the real one.
                    continue;
                }
            }

            // A stream that was only thought to be new needs a look at the real one before nothing is done.
            var isCertain = queued.Command is { } command
                ? await committer.OutcomeAsync(command, stream, cancellationToken) == AppendOutcome.Committed
                : !assumeNew;

            // What was committed while nobody knew may be lost.
            history.ThrowIfWentBack();
            if (isCertain)
            {
                return queued.Handled;
            }
        }

        throw new EventStoreUnavailableException(
            $"Stream {stream}: {AttemptsUntilBusy} commits in a row failed, since others changed it meanwhile or the state store refused them. Try again later.");
    }

    // On top of what waits for its commit on this stream; null when that cannot be, and then it is decided. What writes nothing on top of it would
    // be an answer from what is not committed yet, so then, too, the commit is waited for.
    private async Task<Queued<TState>?> JoinAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        PendingAppend pending,
        Func<StreamState<TState>, TipAt, CancellationToken, Task<Proposal>> propose,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        if (options.MaxBatch > 1 && pending.Open is { } at && await TryJoinAsync(category, pending, at, propose, cancellationToken) is { } joined)
        {
            return joined;
        }

        await committer.OutcomeAsync(pending.Watch(), pending.Stream, cancellationToken);
        return null;
    }

    private async Task<Queued<TState>?> TryJoinAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        PendingAppend pending,
        TipAt at,
        Func<StreamState<TState>, TipAt, CancellationToken, Task<Proposal>> propose,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        try
        {
            var present = await folder.FoldAsync(category, at, at.Tip.Version, cancellationToken);
            var proposal = await propose(present, at, cancellationToken);
            if (!proposal.Writes)
            {
                return null;
            }

            var stored = Store(category, at.Tip.CommitId!, at, proposal.Events);
            var next = Next(at.Tip, at.Tip.CommitId!, stored, proposal.Positions);
            if (IsFull(next))
            {
                return null;
            }

            var handled = HandledOf(category, present, next, stored, proposal.Events);
            return committer.TryAdd(pending, next, handled.Appended) is { } command ? new Queued<TState>(handled, command) : null;
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            // It is told to the caller when it is so on what is committed, too.
            return null;
        }
    }

    private async Task<Queued<TState>> BeginAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string stream,
        bool assumeNew,
        Func<StreamState<TState>, TipAt, CancellationToken, Task<Proposal>> propose,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        var at = assumeNew ? new TipAt(stream, Tip.Empty, null) : await streams.ReadTipAsync(stream, cancellationToken);
        var present = await folder.FoldAsync(category, at, at.Tip.Version, cancellationToken);
        var proposal = await propose(present, at, cancellationToken);
        if (!proposal.Writes)
        {
            return new Queued<TState>(new Handled<TState>(present, [], proposal.Refusal), null);
        }

        var commitId = $"{incarnation}.{Interlocked.Increment(ref _commits)}";
        var stored = Store(category, commitId, at, proposal.Events);
        var tip = await NextTipAsync(category, at, commitId, stored, proposal.Positions, cancellationToken);
        var handled = HandledOf(category, present, tip, stored, proposal.Events);
        var pending = new PendingAppend(at, tip, handled.Appended, category.Topic);
        if (pending.Write.Value.Length > options.MaxBatchBytes)
        {
            throw new EventTooLargeException(
                $"Stream {stream}: with the {stored.Count} events of this command the stream's tip has {pending.Write.Value.Length} bytes; the limit is {options.MaxBatchBytes}.");
        }

        committer.Enqueue(pending);
        return new Queued<TState>(handled, pending.First);
    }

    private static Handled<TState> HandledOf<TState, TEvent>(
        StreamCategory<TState, TEvent> category, StreamState<TState> present, Tip tip, List<StoredEvent> stored, IReadOnlyList<Caused> events)
        where TEvent : class
    {
        RecordedEvent[] appended = [.. stored.Select(e => e.Of(present.Stream))];
        var state = events.Aggregate(present.State, (state, e) => category.Evolve(state, (TEvent)e.Payload));
        var last = appended.LastOrDefault();
        var stream = new StreamState<TState>(present.Stream, tip.Version, state, tip.CreatedAt, last?.OccurredAt ?? present.UpdatedAt, tip.Positions)
        {
            CorrelationId = last is null ? present.CorrelationId : last.CorrelationId,
            SpanId = last is null ? present.SpanId : last.SpanId,
        };
        return new Handled<TState>(stream, appended, null);
    }

    private static Tip Next(Tip former, string commitId, List<StoredEvent> stored, IReadOnlyDictionary<string, long> positions) => former with
    {
        Version = former.Version + stored.Count,
        CommitId = commitId,
        Events = [.. former.Events, .. stored],
        Positions = positions,
        CreatedAt = former.CreatedAt ?? (stored.Count > 0 ? stored[0].OccurredAt : null),
    };

    private async Task<Tip> NextTipAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        TipAt at,
        string commitId,
        List<StoredEvent> stored,
        IReadOnlyDictionary<string, long> positions,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        var former = at.Tip;
        var next = Next(former, commitId, stored, positions);
        while (former.Events.Count > 0 && stored.Count > 0 && IsFull(next))
        {
            // Before the tip that drops them, like the page itself.
            var paging = streams.CreatePageAsync(at.Stream, former.Pages + 1, former.Events, cancellationToken);
            await Task.WhenAll(paging, streams.KeepNamedAsync(at.Stream, former.Events, cancellationToken));
            var page = await paging;
            var until = page.Events[^1].Version;
            var snapshot = await SnapshotAsync(category, at, until, cancellationToken);
            former = former with { Pages = former.Pages + 1, Events = [.. former.Events.Where(e => e.Version > until)] };
            next = next with { Pages = former.Pages, Events = [.. former.Events, .. stored], Snapshot = snapshot };
        }

        return next;
    }

    private bool IsFull(Tip tip) =>
        tip.Events.Count > options.TipEvents || tip.Events.Sum(e => SizeOf(e.Data)) > options.TipBytes;

    private static int SizeOf(JsonElement data) => JsonMarshal.GetRawUtf8Value(data).Length;

    private async Task<Snapshot> SnapshotAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, TipAt at, long version, CancellationToken cancellationToken)
        where TEvent : class
    {
        var then = await folder.FoldAsync(category, at, version, cancellationToken);
        return new Snapshot(version, category.SnapshotVersion, JsonSerializer.SerializeToElement(then.State, EventTypes.Json), then.UpdatedAt);
    }

    private List<StoredEvent> Store<TState, TEvent>(
        StreamCategory<TState, TEvent> category, string commitId, TipAt at, IReadOnlyList<Caused> events)
        where TEvent : class
    {
        var now = time.GetUtcNow();
        var stored = new List<StoredEvent>(events.Count);
        foreach (var caused in events)
        {
            var (type, schemaVersion, data) = types.Write(caused.Payload);
            if (SizeOf(data) > options.MaxEventBytes)
            {
                throw new EventTooLargeException(
                    $"Stream {at.Stream}: an event '{type.Name}' of {SizeOf(data)} bytes is above the limit of {options.MaxEventBytes}.");
            }

            var name = category.NameOf?.Invoke((TEvent)caused.Payload);
            stored.Add(new StoredEvent(
                at.Tip.Version + stored.Count + 1, type.Name, schemaVersion, now, caused.CorrelationId, caused.CausationId, commitId, data, name, caused.FoundBy,
                caused.SpanId));
        }

        return stored;
    }

    // Bounds what is held in memory while the store is slow or away, whatever a command waits for.
    private Admission Admit()
    {
        history.ThrowIfWentBack();
        var refusal = atWork.Enter() > options.QueueLimit ? $"{options.QueueLimit} commands are at work or wait already"
            : committer.IsFull ? $"Commits of more than {options.QueueBytes} bytes wait already"
            : null;
        if (refusal is null)
        {
            return new Admission(atWork);
        }

        atWork.Leave();
        throw new EventStoreUnavailableException($"{refusal}; the state store is too slow or away. Try again later.");
    }

    private readonly struct Admission(CommandsAtWork atWork) : IDisposable
    {
        public void Dispose() => atWork.Leave();
    }

    /// <summary>The answer, right when the command is committed; <c>Command</c> is null when there is nothing to commit.</summary>
    private sealed record Queued<TState>(Handled<TState> Handled, TaskCompletionSource<AppendOutcome>? Command);
}
