using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using DaprOrders.EventSourcing.Lanes;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing;

/// <summary>
/// The event store of one service, over a Dapr state store: every stream commits by one write of one key, guarded by its ETag, and what is
/// committed is published. Runs from <see cref="RunAsync"/> to <see cref="StopAsync"/>.
/// </summary>
public sealed class EventStore
{
    private const int AttemptsUntilBusy = 50;

    private readonly EventTypes _types;
    private readonly IPublisherStreams _publishers;
    private readonly IEventPublisher _publisher;
    private readonly EventStoreOptions _options;
    private readonly TimeProvider _time;
    private readonly StreamTurns _turns;
    private readonly StreamStorage _streams;
    private readonly LaneOwnership _ownership;
    private readonly LogReader _log;
    private readonly Committer _committer;
    private readonly string _incarnation;
    private readonly CancellationTokenSource _stop = new();
    private Task _committing = Task.CompletedTask;
    private Task _adopting = Task.CompletedTask;
    private Task? _stopped;
    private long _commits;
    private int _commandsInside;

    public EventStore(
        IStateApi state, IEventPublisher publisher, IPublisherStreams publishers, EventTypes types, EventStoreOptions options,
        TimeProvider time, ILogger<EventStore> logger)
    {
        (_types, _publishers, _publisher, _options, _time) = (types, publishers, publisher, options, time);
        _incarnation = Guid.CreateVersion7(time.GetUtcNow()).ToString("N");
        _turns = new StreamTurns(options.CommitTimeout, time);
        var bounded = new BoundedStateApi(state, options.CallTimeout, time);
        _streams = new StreamStorage(bounded, options, time);
        var lanes = new LaneStorage(bounded, _streams, time);
        _log = new LogReader(lanes, _streams);
        _ownership = new LaneOwnership(lanes, _log, publisher, options, time, logger);
        _committer = new Committer(bounded, _streams, lanes, _ownership, _incarnation, options, time, logger);
    }

    /// <summary>Completed when the store can take commands: the sidecar answers and a lane is ours.</summary>
    public Task Ready => _ownership.Acquired;

    /// <summary>Commits, publishes, and adopts lanes left behind, until <see cref="StopAsync"/>; waits for the sidecar as long as it takes.</summary>
    /// <exception cref="State.UnsuitableStateStoreException">The state store cannot hold an event store.</exception>
    public Task RunAsync()
    {
        _adopting = _ownership.AdoptAsync(_stop.Token);
        _committing = _committer.RunAsync(_stop.Token);
        return UntilStoppedAsync(_committing);
    }

    /// <summary>
    /// Commits what is queued, publishes what is committed and gives the lane back, as long as the token allows; the rest is left to whoever
    /// takes the lane next. Asked twice, it stops once.
    /// </summary>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        lock (_stop)
        {
            return _stopped ??= StopOnceAsync(cancellationToken);
        }
    }

    private async Task StopOnceAsync(CancellationToken cancellationToken)
    {
        _committer.Complete();
        try
        {
            // Without a lane nothing was committed and nothing can be.
            if (Ready.IsCompleted)
            {
                await _committing.WaitAsync(cancellationToken);
                await _ownership.ReleaseAsync(cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The time is up.
        }
        catch (EventStoreUnavailableException)
        {
            // The lane could not be given back: whoever takes it next waits for its lease.
        }
        finally
        {
            _stop.Cancel();
            await Task.WhenAll(UntilStoppedAsync(_committing), UntilStoppedAsync(_adopting));
            await _ownership.AdoptionsEndedAsync();
        }
    }

    private async Task UntilStoppedAsync(Task loop)
    {
        try
        {
            await loop;
        }
        catch (Exception) when (_stop.IsCancellationRequested)
        {
            // Stopped; a call that is cut off may say it in other words.
        }
    }

    /// <summary>The stream folded to its state; version 0 when it does not exist.</summary>
    public async Task<StreamState<TState>> LoadAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, string id, CancellationToken cancellationToken)
        where TEvent : class
    {
        var at = await _streams.ReadTipAsync(category.StreamOf(id), cancellationToken);
        return await FoldAsync(category, at, at.Tip.Version, cancellationToken);
    }

    /// <summary>The stream as it was after event <paramref name="version"/>; null when it never had that version.</summary>
    public async Task<StreamState<TState>?> LoadAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, string id, long version, CancellationToken cancellationToken)
        where TEvent : class
    {
        var at = await _streams.ReadTipAsync(category.StreamOf(id), cancellationToken);
        return version < 1 || version > at.Tip.Version ? null : await FoldAsync(category, at, version, cancellationToken);
    }

    /// <summary>The events of a stream after <paramref name="after"/>, oldest first; empty when there are none.</summary>
    public async Task<IReadOnlyList<RecordedEvent>> ReadStreamAsync(string stream, long after, int limit, CancellationToken cancellationToken)
    {
        var at = await _streams.ReadTipAsync(stream, cancellationToken);
        var stored = await _streams.ReadAsync(at, after, limit, cancellationToken);
        return [.. stored.Select(e => e.Of(stream))];
    }

    /// <summary>The lanes of this service's event log.</summary>
    public async Task<LogLanes> ReadLanesAsync(CancellationToken cancellationToken) => new(await _log.ListAsync(cancellationToken));

    /// <summary>The events of a lane after a position, whole commits until the limit is reached; null when there is no such lane.</summary>
    public Task<LogPage?> ReadLogAsync(string lane, long after, int limit, CancellationToken cancellationToken) =>
        _log.ReadAsync(lane, after, limit, cancellationToken);

    /// <summary>
    /// Loads, decides, appends; on a conflict it loads and decides again. When it returns, what was decided is durable and will be published.
    /// </summary>
    /// <exception cref="WrongVersionException">The stream is not at the expected version.</exception>
    /// <exception cref="EventStoreUnavailableException">Nothing was acknowledged.</exception>
    public async Task<Handled<TState>> HandleAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        Func<TState, Decision<TEvent>> decide,
        CommandContext context,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        var correlation = context.CorrelationId ?? Activity.Current?.TraceId.ToHexString();
        return await ExecuteAsync(category, id, context.LikelyNew, ProposeAsync, cancellationToken);

        Task<Proposal> ProposeAsync(StreamState<TState> present, CancellationToken token)
        {
            if (context.ExpectedVersion is { } expected && expected != present.Version)
            {
                throw new WrongVersionException(present.Stream, expected, present.Version);
            }

            var decision = decide(present.State);
            Caused[] events = [.. decision.Events.Select(e => new Caused(e, correlation, context.CausationId))];
            return Task.FromResult(new Proposal(decision.Refusal is null && events.Length > 0, events, present.Positions, decision.Refusal));
        }
    }

    /// <summary>
    /// Applies events of one source stream to one of our streams, each exactly once: the position in the source stream is kept in the
    /// same write. Older events are ignored; missing ones that are needed are fetched from the publisher and applied first.
    /// </summary>
    /// <param name="events">Of one source stream, in order of version.</param>
    /// <param name="decide">Called for each event that is new here; a refusal is a fault, since an event cannot be refused.</param>
    /// <param name="neededUpTo">
    /// Of the source stream's events those after this version may be left out: each says all that matters here, whatever went before. So a
    /// consumer need not hand over, and thereby write down, those that change nothing.
    /// </param>
    public async Task<Handled<TState>> ConsumeAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        IReadOnlyList<IncomingEvent> events,
        Func<TState, IncomingEvent, Decision<TEvent>> decide,
        CancellationToken cancellationToken,
        long neededUpTo = long.MaxValue)
        where TEvent : class
    {
        var source = events[0].Recorded.Stream;
        return await ExecuteAsync(category, id, likelyNew: false, ProposeAsync, cancellationToken);

        async Task<Proposal> ProposeAsync(StreamState<TState> present, CancellationToken token)
        {
            var position = present.Positions.GetValueOrDefault(source);
            var fresh = await WithinAsync(
                _options.CommitTimeout, limited => _publishers.CompleteAsync(events, position, _types, limited, neededUpTo), token);
            var state = present.State;
            var caused = new List<Caused>();
            foreach (var incoming in fresh)
            {
                var decision = decide(state, incoming);
                if (decision.Refusal is { } refusal)
                {
                    throw new InvalidOperationException(
                        $"Stream {present.Stream} cannot take {incoming.Recorded.Id} ({incoming.Recorded.Type}): {refusal.Reason}");
                }

                foreach (var happened in decision.Events)
                {
                    caused.Add(new Caused(happened, incoming.Recorded.CorrelationId, incoming.Recorded.Id));
                    state = category.Evolve(state, happened);
                }
            }

            return fresh.Count == 0
                ? new Proposal(false, [], present.Positions, null)
                : new Proposal(true, caused, new Dictionary<string, long>(present.Positions) { [source] = fresh[^1].Recorded.Version }, null);
        }
    }

    private async Task<Handled<TState>> ExecuteAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        bool likelyNew,
        Func<StreamState<TState>, CancellationToken, Task<Proposal>> propose,
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
                var pending = _committer.PendingOn(stream);
                assumeNew = likelyNew && attempt == 0 && pending is null;
                queued = (pending is null ? null : await JoinAsync(category, pending, propose, cancellationToken))
                    ?? await BeginAsync(category, stream, assumeNew, propose, cancellationToken);
            }

            // A stream that was only thought to be new needs a look at the real one before nothing is done.
            var isCertain = queued.Command is { } command
                ? await _committer.OutcomeAsync(command, stream, cancellationToken) == AppendOutcome.Committed
                : !assumeNew;
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
        Func<StreamState<TState>, CancellationToken, Task<Proposal>> propose,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        if (_options.MaxBatch > 1 && pending.Open is { } at && await TryJoinAsync(category, pending, at, propose, cancellationToken) is { } joined)
        {
            return joined;
        }

        await _committer.OutcomeAsync(pending.Watch(), pending.Stream, cancellationToken);
        return null;
    }

    private async Task<Queued<TState>?> TryJoinAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        PendingAppend pending,
        TipAt at,
        Func<StreamState<TState>, CancellationToken, Task<Proposal>> propose,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        try
        {
            var present = await FoldAsync(category, at, at.Tip.Version, cancellationToken);
            var proposal = await propose(present, cancellationToken);
            if (!proposal.Writes)
            {
                return null;
            }

            var stored = Store(at.Tip.CommitId!, at, proposal.Events);
            var next = Next(at.Tip, at.Tip.CommitId!, stored, proposal.Positions);
            if (IsFull(next))
            {
                return null;
            }

            var handled = HandledOf(category, present, next, stored);
            return pending.TryAdd(next, handled.Appended) is { } command ? new Queued<TState>(handled, command) : null;
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
        Func<StreamState<TState>, CancellationToken, Task<Proposal>> propose,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        var at = assumeNew ? new TipAt(stream, Tip.Empty, null) : await _streams.ReadTipAsync(stream, cancellationToken);
        var present = await FoldAsync(category, at, at.Tip.Version, cancellationToken);
        var proposal = await propose(present, cancellationToken);
        if (!proposal.Writes)
        {
            return new Queued<TState>(new Handled<TState>(present, [], proposal.Refusal), null);
        }

        var commitId = $"{_incarnation}.{Interlocked.Increment(ref _commits)}";
        var stored = Store(commitId, at, proposal.Events);
        var tip = await NextTipAsync(category, at, commitId, stored, proposal.Positions, cancellationToken);
        var handled = HandledOf(category, present, tip, stored);
        var pending = new PendingAppend(at, tip, handled.Appended, category.Topic);
        if (pending.Write.Value.Length > _options.MaxBatchBytes)
        {
            throw new EventTooLargeException(
                $"Stream {stream}: with the {stored.Count} events of this command the stream's tip has {pending.Write.Value.Length} bytes; the limit is {_options.MaxBatchBytes}.");
        }

        _committer.Enqueue(pending);
        return new Queued<TState>(handled, pending.First);
    }

    /// <summary>Publishes the latest event of a stream once more: heals a message that was lost on its way.</summary>
    public async Task RepublishLatestAsync<TState, TEvent>(StreamCategory<TState, TEvent> category, string id, CancellationToken cancellationToken)
        where TEvent : class
    {
        var at = await _streams.ReadTipAsync(category.StreamOf(id), cancellationToken);
        if (category.Topic is not null && at.Tip.Events.Count > 0)
        {
            RecordedEvent[] latest = [at.Tip.Events[^1].Of(at.Stream)];
            await WithinAsync(
                _options.CallTimeout,
                async token =>
                {
                    await _publisher.PublishAsync(category.Topic, latest, token);
                    return latest;
                },
                cancellationToken);
        }
    }

    // What others are asked for must not hold up this stream's other commands, or a caller, without end.
    private async Task<T> WithinAsync<T>(TimeSpan timeout, Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await call(either.Token);
        }
        catch (Exception exception) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new EventStoreUnavailableException($"No answer within {timeout}. Try again later.", exception);
        }
    }

    private async Task<StreamState<TState>> FoldAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, TipAt at, long version, CancellationToken cancellationToken)
        where TEvent : class
    {
        var (state, after, updated) = SnapshotOf(category, at.Tip, version);
        var stored = after + 1 >= at.Tip.FirstVersion
            ? at.Tip.Events.Where(e => e.Version > after)
            : await _streams.ReadAsync(at, after, (int)(version - after), cancellationToken);
        foreach (var e in stored.TakeWhile(e => e.Version <= version))
        {
            state = category.Evolve(state, Payload<TEvent>(e.Of(at.Stream)));
            updated = e.OccurredAt;
        }

        return new StreamState<TState>(at.Stream, version, state, at.Tip.CreatedAt, updated, at.Tip.Positions);
    }

    private static (TState State, long After, DateTimeOffset? UpdatedAt) SnapshotOf<TState, TEvent>(StreamCategory<TState, TEvent> category, Tip tip, long version)
        where TEvent : class
    {
        if (tip.Snapshot is { } snapshot && snapshot.Shape == category.SnapshotVersion && snapshot.Version <= version)
        {
            var state = snapshot.State.Deserialize<TState>(EventTypes.Json);
            return (state ?? category.Initial, snapshot.Version, snapshot.UpdatedAt);
        }

        return (category.Initial, 0, null);
    }

    private Handled<TState> HandledOf<TState, TEvent>(
        StreamCategory<TState, TEvent> category, StreamState<TState> present, Tip tip, List<StoredEvent> stored)
        where TEvent : class
    {
        RecordedEvent[] appended = [.. stored.Select(e => e.Of(present.Stream))];
        var state = appended.Aggregate(present.State, (state, e) => category.Evolve(state, Payload<TEvent>(e)));
        var updated = appended.Length > 0 ? appended[^1].OccurredAt : present.UpdatedAt;
        return new Handled<TState>(new StreamState<TState>(present.Stream, tip.Version, state, tip.CreatedAt, updated, tip.Positions), appended, null);
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
            var page = await _streams.CreatePageAsync(at.Stream, former.Pages + 1, former.Events, cancellationToken);
            var until = page.Events[^1].Version;
            var snapshot = await SnapshotAsync(category, at, until, cancellationToken);
            former = former with { Pages = former.Pages + 1, Events = [.. former.Events.Where(e => e.Version > until)] };
            next = next with { Pages = former.Pages, Events = [.. former.Events, .. stored], Snapshot = snapshot };
        }

        return next;
    }

    private bool IsFull(Tip tip) =>
        tip.Events.Count > _options.TipEvents || tip.Events.Sum(e => SizeOf(e.Data)) > _options.TipBytes;

    private static int SizeOf(JsonElement data) => JsonMarshal.GetRawUtf8Value(data).Length;

    private async Task<Snapshot> SnapshotAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, TipAt at, long version, CancellationToken cancellationToken)
        where TEvent : class
    {
        var then = await FoldAsync(category, at, version, cancellationToken);
        return new Snapshot(version, category.SnapshotVersion, JsonSerializer.SerializeToElement(then.State, EventTypes.Json), then.UpdatedAt);
    }

    private List<StoredEvent> Store(string commitId, TipAt at, IReadOnlyList<Caused> events)
    {
        var now = _time.GetUtcNow();
        var stored = new List<StoredEvent>(events.Count);
        foreach (var caused in events)
        {
            var type = _types.Of(caused.Payload);
            var data = JsonSerializer.SerializeToElement(caused.Payload, type.ClrType, EventTypes.Json);
            if (SizeOf(data) > _options.MaxEventBytes)
            {
                throw new EventTooLargeException(
                    $"Stream {at.Stream}: an event '{type.Name}' of {SizeOf(data)} bytes is above the limit of {_options.MaxEventBytes}.");
            }

            stored.Add(new StoredEvent(
                at.Tip.Version + stored.Count + 1, type.Name, type.SchemaVersion, now, caused.CorrelationId, caused.CausationId, commitId, data));
        }

        return stored;
    }

    private TEvent Payload<TEvent>(RecordedEvent recorded)
        where TEvent : class =>
        _types.Read(recorded) as TEvent ?? throw new UnknownEventException(
            $"Stream {recorded.Stream}, version {recorded.Version}: '{recorded.Type}' is not an event of this stream ({typeof(TEvent).Name}).");

    // Bounds what is held in memory while the store is slow or away, whatever a command waits for.
    private Admission Admit()
    {
        if (Interlocked.Increment(ref _commandsInside) <= _options.QueueLimit)
        {
            return new Admission(this);
        }

        Interlocked.Decrement(ref _commandsInside);
        throw new EventStoreUnavailableException(
            $"{_options.QueueLimit} commands are at work or wait already; the state store is too slow or away. Try again later.");
    }

    private readonly struct Admission(EventStore store) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref store._commandsInside);
    }

    /// <summary>What a command comes to on a state: events or positions to write, or nothing, maybe with a refusal.</summary>
    private sealed record Proposal(
        bool Writes, IReadOnlyList<Caused> Events, IReadOnlyDictionary<string, long> Positions, Refusal? Refusal);

    /// <summary>The answer, right when the command is committed; <c>Command</c> is null when there is nothing to commit.</summary>
    private sealed record Queued<TState>(Handled<TState> Handled, TaskCompletionSource<AppendOutcome>? Command);

    private sealed record Caused(object Payload, string? CorrelationId, string? CausationId);
}
