using System.Diagnostics;
using System.Text.Json;
using DaprOrders.EventSourcing.Lanes;
using DaprOrders.EventSourcing.Publishing;
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
    // Of events in one answer: with what one range may have it stays below gRPC's limit of 4 MiB between sidecars.
    private const int BytesInAnswer = 1024 * 1024;

    private readonly EventTypes _types;
    private readonly BoundedPublisherStreams _publishers;
    private readonly ParkedEvents _parked;
    private readonly CommandsAtWork _atWork;
    private readonly StreamStorage _streams;
    private readonly StoreHistory _history;
    private readonly LaneOwnership _ownership;
    private readonly LogReader _log;
    private readonly Committer _committer;
    private readonly StreamFolder _folder;
    private readonly StreamCommands _commands;
    private readonly TimeSpan _patience;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private Task _committing = Task.CompletedTask;
    private Task _adopting = Task.CompletedTask;
    private Task _watching = Task.CompletedTask;
    private Task? _stopped;

    public EventStore(
        IStateApi state, IEventPublisher publisher, IPublisherStreams publishers, EventTypes types, EventStoreOptions options,
        TimeProvider time, ILogger<EventStore> logger)
    {
        (_types, _patience, _time) = (types, options.Lease, time);
        _publishers = new BoundedPublisherStreams(publishers, options.CommitTimeout, time);
        var incarnation = Guid.CreateVersion7(time.GetUtcNow()).ToString("N");
        var bounded = new BoundedStateApi(state, options.CallTimeout, time);
        _atWork = new CommandsAtWork(options.GatherTime, time);
        _streams = new StreamStorage(bounded, _atWork, options, time);
        var lanes = new LaneStorage(bounded, _streams, options.Chunks, time);
        _history = new StoreHistory(lanes, options, time, logger);
        _log = new LogReader(lanes, _streams, _history, options.Chunks);
        var broker = new Broker(publisher, options, time);
        _parked = new ParkedEvents(bounded, _streams, broker, options, time, logger);
        _ownership = new LaneOwnership(lanes, _history, _log, broker, _parked, incarnation, options, time, logger);
        (_log.Own, _log.IsLeftBehind) = (_ownership.Own, _ownership.IsLeftBehind);
        _committer = new Committer(bounded, _streams, lanes, _ownership, _history, _atWork, incarnation, options, time, logger);
        _folder = new StreamFolder(_streams, types);
        _commands = new StreamCommands(_streams, _folder, _committer, _history, _atWork, types, incarnation, options, time);
    }

    /// <summary>Completed when the store can take commands: the sidecar answers and a lane is ours.</summary>
    public Task Ready => _ownership.Acquired;

    /// <summary>What is lost since the state store went back in time; null while all is well. Nothing is loaded or committed meanwhile.</summary>
    public LogLoss? Loss => _history.Loss is { } loss ? Shown(loss) : null;

    /// <summary>How often the store was recovered after it went back in time: another number means that what was read before may be undone.</summary>
    public long Recoveries => _history.Recoveries;

    /// <summary>
    /// Says that work may go on without what is lost. Every lane is closed, and told to its readers as what it has lost; then commands are taken again,
    /// under new lanes, by all instances.
    /// </summary>
    /// <returns>What is lost, or null: nothing is, as far as is known.</returns>
    public async Task<LogLoss?> RecoverAsync(CancellationToken cancellationToken)
    {
        var declared = await _history.DeclareAsync(cancellationToken);
        _ownership.Recover();
        return declared is null ? null : Shown(declared);
    }

    private static LogLoss Shown(Loss loss) =>
        new(loss.At, loss.By, loss.DeclaredAt, [.. loss.Lanes.Select(lane => new LostPart(lane.Lane, lane.From, lane.To))]);

    /// <summary>Commits, publishes, and adopts lanes left behind, until <see cref="StopAsync"/>; waits for the sidecar as long as it takes.</summary>
    /// <exception cref="State.UnsuitableStateStoreException">The state store cannot hold an event store.</exception>
    public Task RunAsync()
    {
        _adopting = _ownership.AdoptAsync(_stop.Token);
        _watching = _parked.WatchAsync(_stop.Token);
        _committing = _committer.RunAsync(_stop.Token);
        return UntilStoppedAsync(_committing);
    }

    /// <summary>
    /// Commits what is queued, publishes what is committed and gives the lane back, as long as the token allows, and unless it gets on with nothing for the
    /// time of a lease, after which others adopt the lane anyway; the rest is left to whoever takes it. Asked twice, it stops once.
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
                await CommitTheRestAsync(cancellationToken);
                await _ownership.ReleaseAsync(cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The time is up.
        }
        catch (EventStoreUnavailableException)
        {
            // The store or the broker is away, and the lane could not be given back: whoever takes it next waits for its lease.
        }
        finally
        {
            _stop.Cancel();
            await Task.WhenAll(UntilStoppedAsync(_committing), UntilStoppedAsync(_adopting), UntilStoppedAsync(_watching));
            await _ownership.AdoptionsEndedAsync();
        }
    }

    private async Task CommitTheRestAsync(CancellationToken cancellationToken)
    {
        var began = _time.GetTimestamp();
        while (!_committing.IsCompleted)
        {
            if (_time.GetElapsedTime(Math.Max(began, _committer.DecidedAt)) > _patience)
            {
                throw new EventStoreUnavailableException($"Nothing could be committed for {_patience}, and this instance is stopping.");
            }

            await Task.Delay(LaneStorage.RetryDelay, _time, cancellationToken);
        }

        await _committing;
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

    internal long Unpublished => _ownership.Present?.Unpublished ?? 0;

    internal TimeSpan RelayLag => _ownership.Present?.RelayLag ?? TimeSpan.Zero;

    internal int CommandsAtWork => _atWork.Count;

    internal long QueuedBytes => _committer.Bytes;

    /// <summary>How many events are parked, as this instance last saw it.</summary>
    public int ParkedCount => _parked.Count;

    /// <summary>The events that the broker refuses while it takes others, in the order in which they were parked.</summary>
    public Task<IReadOnlyList<ParkedEvent>> ReadParkedAsync(CancellationToken cancellationToken) => _parked.ReadAsync(cancellationToken);

    /// <summary>Publishes a parked event once more; taken by the broker, it is parked no longer. False: no such event is parked.</summary>
    /// <exception cref="EventStoreUnavailableException">The broker refuses it still, or the store is away.</exception>
    public Task<bool> RedriveParkedAsync(string id, CancellationToken cancellationToken) => _parked.RedriveAsync(id, cancellationToken);

    /// <summary>Takes a parked event off the list: its topic will never have it. False: no such event is parked.</summary>
    public Task<bool> DiscardParkedAsync(string id, CancellationToken cancellationToken) => _parked.DiscardAsync(id, cancellationToken);

    /// <summary>The stream folded to its state; version 0 when it does not exist.</summary>
    /// <exception cref="StoreWentBackException">What the store has may not be all that was committed.</exception>
    public async Task<StreamState<TState>> LoadAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, string id, CancellationToken cancellationToken)
        where TEvent : class
    {
        _history.ThrowIfWentBack();
        var at = await _streams.ReadTipAsync(category.StreamOf(id), cancellationToken);
        return await _folder.FoldAsync(category, at, at.Tip.Version, cancellationToken);
    }

    /// <summary>The stream as it was after event <paramref name="version"/>; null when it never had that version.</summary>
    public async Task<StreamState<TState>?> LoadAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, string id, long version, CancellationToken cancellationToken)
        where TEvent : class
    {
        _history.ThrowIfWentBack();
        var at = await _streams.ReadTipAsync(category.StreamOf(id), cancellationToken);
        return version < 1 || version > at.Tip.Version ? null : await _folder.FoldAsync(category, at, version, cancellationToken);
    }

    /// <summary>The events of a stream after <paramref name="after"/>, oldest first; empty when there are none.</summary>
    public async Task<IReadOnlyList<RecordedEvent>> ReadStreamAsync(string stream, long after, int limit, CancellationToken cancellationToken)
    {
        var at = await _streams.ReadTipAsync(stream, cancellationToken);
        var stored = await _streams.ReadAsync(at, after, limit, cancellationToken);
        return [.. stored.Select(e => e.Of(stream))];
    }

    /// <summary>By source stream, the last version that any of these streams has taken: what is not newer changes nothing there any more.</summary>
    public async Task<IReadOnlyDictionary<string, long>> ReadPositionsAsync(IReadOnlyList<string> streams, CancellationToken cancellationToken) =>
        (await _streams.ReadTipsAsync(streams, cancellationToken)).SelectMany(at => at.Tip.Positions)
            .GroupBy(position => position.Key).ToDictionary(source => source.Key, source => source.Max(position => position.Value));

    /// <summary>The lanes of this service's event log.</summary>
    public async Task<LogLanes> ReadLanesAsync(CancellationToken cancellationToken) => new(await _log.ListAsync(cancellationToken), Loss);

    /// <summary>The events of a lane after a position, whole commits until the limit is reached; null when there is no such lane.</summary>
    public Task<LogPage?> ReadLogAsync(string lane, long after, int limit, CancellationToken cancellationToken) =>
        _log.ReadAsync(lane, after, limit, cancellationToken);

    /// <summary>What a lane holds after a position: streams and versions only, whole commits until the limit is reached; null when there is no such lane.</summary>
    public Task<LogEntries?> ReadLogEntriesAsync(string lane, long after, int limit, CancellationToken cancellationToken) =>
        _log.ReadEntriesAsync(lane, after, limit, cancellationToken);

    /// <summary>Events of many streams, those that exist, range by range; see <see cref="StreamEvents"/>.</summary>
    public async Task<StreamEvents> ReadStreamsAsync(IReadOnlyList<StreamRange> ranges, CancellationToken cancellationToken)
    {
        var tips = await _streams.ReadTipsAsync([.. ranges.Select(range => range.Stream)], cancellationToken);
        var events = new List<RecordedEvent>();
        var (read, bytes) = (0, 0L);
        foreach (var (range, at) in ranges.Zip(tips))
        {
            var limit = (int)Math.Min(Math.Min(range.UpTo, at.Tip.Version) - range.After, int.MaxValue);
            RecordedEvent[] found = limit > 0
                ? [.. (await _streams.ReadAsync(at, range.After, limit, cancellationToken)).Select(e => e.Of(range.Stream))]
                : [];
            bytes += found.Sum(e => (long)e.Bytes);
            if (read > 0 && bytes > BytesInAnswer)
            {
                break;
            }

            events.AddRange(found);
            read++;
        }

        return new StreamEvents(events, read);
    }

    /// <summary>The streams of a category folded to their states, in the order of their ids; version 0 where one does not exist.</summary>
    /// <exception cref="StoreWentBackException">What the store has may not be all that was committed.</exception>
    public async Task<IReadOnlyList<StreamState<TState>>> LoadAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, IReadOnlyList<string> ids, CancellationToken cancellationToken)
        where TEvent : class
    {
        _history.ThrowIfWentBack();
        var tips = await _streams.ReadTipsAsync([.. ids.Select(category.StreamOf)], cancellationToken);
        return await Task.WhenAll(tips.Select(at => _folder.FoldAsync(category, at, at.Tip.Version, cancellationToken)));
    }

    /// <summary>As above, without those that cannot be read here, because a later release has written to them or a part is lost: who goes through many does not stop at one.</summary>
    /// <returns>By id the states of those that can be read, and why the others cannot.</returns>
    /// <exception cref="EventStoreUnavailableException">The store is away.</exception>
    public async Task<(IReadOnlyDictionary<string, StreamState<TState>> Read, IReadOnlyDictionary<string, Exception> Unreadable)> LoadReadableAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category, IReadOnlyList<string> ids, CancellationToken cancellationToken)
        where TEvent : class
    {
        _history.ThrowIfWentBack();
        var tips = await _streams.ReadTipsAsync([.. ids.Select(category.StreamOf)], cancellationToken);
        var (read, unreadable) = (new Dictionary<string, StreamState<TState>>(), new Dictionary<string, Exception>());
        foreach (var (id, at) in ids.Zip(tips))
        {
            try
            {
                read[id] = await _folder.FoldAsync(category, at, at.Tip.Version, cancellationToken);
            }
            catch (Exception exception) when (exception is NewerEventException or UnknownEventException or InvalidOperationException or JsonException)
            {
                unreadable[id] = exception;
            }
        }

        return (read, unreadable);
    }

    /// <summary>
    /// Loads, decides, appends; on a conflict it loads and decides again. When it returns, what was decided is durable and will be published.
    /// </summary>
    /// <exception cref="WrongVersionException">The stream is not at the expected version.</exception>
    /// <exception cref="EventStoreUnavailableException">Nothing was acknowledged.</exception>
    public Task<Handled<TState>> HandleAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        Func<TState, Decision<TEvent>> decide,
        CommandContext context,
        CancellationToken cancellationToken)
        where TEvent : class =>
        HandleAsync(category, id, [], (state, _) => decide(state), context, cancellationToken);

    /// <summary>As above, for a decision that also rests on single events of the stream, however old they are.</summary>
    /// <param name="names">The names that <see cref="StreamCategory{TState,TEvent}.NameOf"/> gave them.</param>
    /// <param name="decide">Gets the state, and by name those of the events that there are.</param>
    public async Task<Handled<TState>> HandleAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        IReadOnlyCollection<string> names,
        Func<TState, IReadOnlyDictionary<string, TEvent>, Decision<TEvent>> decide,
        CommandContext context,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        var correlation = context.CorrelationId ?? Activity.Current?.TraceId.ToHexString();
        var span = EventTraces.PresentSpanIn(correlation);
        return await _commands.ExecuteAsync(category, id, context.LikelyNew, ProposeAsync, cancellationToken);

        async Task<Proposal> ProposeAsync(StreamState<TState> present, TipAt at, CancellationToken token)
        {
            if (context.ExpectedVersion is { } expected && expected != present.Version)
            {
                throw new WrongVersionException(present.Stream, expected, present.Version);
            }

            var named = await _folder.NamedAsync<TEvent>(at, names, token);
            var decision = decide(present.State, named);
            // What is done in the background belongs to the trace of what it goes on with.
            var (trace, within) = correlation is null ? (present.CorrelationId, present.SpanId) : (correlation, span);
            Caused[] events = [.. decision.Events.Select(e => new Caused(e, trace, context.CausationId, within))];
            return new Proposal(decision.Refusal is null && events.Length > 0, events, present.Positions, decision.Refusal);
        }
    }

    /// <summary>
    /// Applies events of one source stream to one of our streams, each exactly once: the position in the source stream is kept in the
    /// same write. Older events are ignored; missing ones that are needed are fetched from the publisher and applied first. The position
    /// moves over events of types that are not known here.
    /// </summary>
    /// <param name="events">Of one source stream, in order of version.</param>
    /// <param name="decide">Called for each event that is new here; a refusal is a fault, since an event cannot be refused.</param>
    /// <param name="neededUpTo">
    /// Of the source stream's events those after this version may be left out: each says all that matters here, whatever went before. So a
    /// consumer need not hand over, and thereby write down, those that change nothing.
    /// </param>
    /// <param name="likelyNew">
    /// The stream should not exist: it is created without being read, and read only where that is refused; while others wait for their commits, it is
    /// read with theirs. Only for a decision that does nothing else: on a stream that does exist it is made in vain once.
    /// </param>
    public Task<Handled<TState>> ConsumeAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        IReadOnlyList<IncomingEvent> events,
        Func<TState, IncomingEvent, Decision<TEvent>> decide,
        CancellationToken cancellationToken,
        long neededUpTo = long.MaxValue,
        bool likelyNew = false)
        where TEvent : class =>
        ConsumeAsync(category, id, events, (state, incoming, _) => Task.FromResult(decide(state, incoming)), likelyNew, neededUpTo, cancellationToken);

    /// <summary>
    /// As above, for a decision that needs others: what it makes them do must be right whether or not its events are committed, and must do nothing
    /// more when it is asked again.
    /// </summary>
    public Task<Handled<TState>> ConsumeAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        IReadOnlyList<IncomingEvent> events,
        Func<TState, IncomingEvent, CancellationToken, Task<Decision<TEvent>>> decide,
        CancellationToken cancellationToken,
        long neededUpTo = long.MaxValue)
        where TEvent : class =>
        ConsumeAsync(category, id, events, decide, likelyNew: false, neededUpTo, cancellationToken);

    private async Task<Handled<TState>> ConsumeAsync<TState, TEvent>(
        StreamCategory<TState, TEvent> category,
        string id,
        IReadOnlyList<IncomingEvent> events,
        Func<TState, IncomingEvent, CancellationToken, Task<Decision<TEvent>>> decide,
        bool likelyNew,
        long neededUpTo,
        CancellationToken cancellationToken)
        where TEvent : class
    {
        var source = events[0].Recorded.Stream;
        // A creation that is refused has all that is committed with it made again.
        return await _commands.ExecuteAsync(category, id, likelyNew && _committer.IsIdle, ProposeAsync, cancellationToken);

        async Task<Proposal> ProposeAsync(StreamState<TState> present, TipAt at, CancellationToken token)
        {
            var position = present.Positions.GetValueOrDefault(source);
            var fresh = await _publishers.CompleteAsync(events, position, _types, token, neededUpTo);
            var state = present.State;
            var caused = new List<Caused>();
            foreach (var incoming in fresh.Where(incoming => incoming.IsKnown))
            {
                var decision = await _atWork.WithoutAsync(decide(state, incoming, token));
                if (decision.Refusal is { } refusal)
                {
                    throw new InvalidOperationException(
                        $"Stream {present.Stream} cannot take {incoming.Recorded.Id} ({incoming.Recorded.Type}): {refusal.Reason}");
                }

                foreach (var happened in decision.Events)
                {
                    caused.Add(new Caused(
                        happened, incoming.Recorded.CorrelationId, incoming.Id, EventTraces.PresentSpanIn(incoming.Recorded.CorrelationId), incoming.FoundBy));
                    state = category.Evolve(state, happened);
                }
            }

            foreach (var asked in events)
                asked.Outcome?.Tell(!fresh.Any(taken => ReferenceEquals(taken, asked)), caused.Count(happened => happened.CausationId == asked.Id));

            return fresh.Count == 0
                ? new Proposal(false, [], present.Positions, null)
                : new Proposal(true, caused, new Dictionary<string, long>(present.Positions) { [source] = fresh[^1].Recorded.Version }, null);
        }
    }
}
