using Dapr;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>
/// One simulated run: several instances work on few streams, and consume what they publish, while their calls fail in every way, their clocks
/// differ, and they are paused beyond their lease, stopped, killed and started again; then the faults end, and what the event store promises is
/// checked.
/// </summary>
internal sealed class Run
{
    private const int Instances = 3;
    private const int ClientsPerInstance = 3;
    private const int MostStreams = 4;
    private const int MostCommands = 12;
    private const int TallyStreams = 2;
    private const long MaxSteps = 2_000_000;

    // Late writes have landed (30 s), leases have run out (10 s), the last lanes are adopted.
    private static readonly TimeSpan ComesToRest = TimeSpan.FromSeconds(45);

    // What was committed is published within this time, and the head that says so is written.
    private static readonly TimeSpan Publishes = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan WorksWithin = TimeSpan.FromSeconds(5);

    // The tries of those that the broker refuses are over, lane after lane.
    private static readonly TimeSpan Parks = TimeSpan.FromMinutes(1);

    // A lane that had nothing else to publish waited, and tries once more.
    private static readonly TimeSpan Retries = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan StopsWithin = TimeSpan.FromMinutes(1);
    private static readonly StreamCategory<Marks, Marked> Category = new("mark", "marks", Marks.None, Marks.After);
    private static readonly StreamCategory<Tallies, Tallied> Consumed = new("tally", "tallies", new Tallies(0), (tallies, _) => new Tallies(tallies.Count + 1));

    private readonly World _world;
    private readonly SimulatedStore _store;
    private readonly Faults _faults;
    private readonly Func<IStateApi, IStateApi> _mutate;
    private readonly BatchWrites? _batches;
    private readonly EventStore _reader;
    private readonly List<RecordedEvent> _published = [];
    private readonly Dictionary<string, (string Stream, long From, int Parts)> _acknowledged = [];
    private readonly Dictionary<(string Stream, long Version), string> _seen = [];
    private readonly Dictionary<string, long> _positions = [];
    private readonly Dictionary<string, int> _logged = [];
    private readonly Dictionary<(string Lane, string Stream), long> _lastLogged = [];
    private readonly HashSet<string> _kept = [];
    private readonly Dictionary<string, long> _committed = [];
    private readonly List<Answer> _answers = [];
    private readonly SimulatedInstance[] _instances = new SimulatedInstance[Instances];
    private readonly TimeSpan[] _clocksAhead = new TimeSpan[Instances];
    private readonly int _streams;
    private readonly int _commandsPerClient;
    private readonly bool _consumes;
    private readonly bool _follows;
    private readonly bool _hasPoison;
    private readonly StateInMemory _documents = new();
    private readonly SimulatedConsumer[] _consumers = new SimulatedConsumer[Instances];
    private readonly HashSet<string> _handled = [];
    private readonly HashSet<string> _brought = [];
    private readonly CatchUpMutant? _catchUp;
    private readonly bool _refuses;
    private readonly Chunks _chunks;
    private Exception? _followerEnd;
    private int _commands;
    private bool _resting;

    public Run(
        int seed,
        StoreClass kind,
        Func<IStateApi, IStateApi>? mutate = null,
        Func<IStateApi, IStateApi>? mutateReader = null,
        BatchWrites? batches = null,
        CatchUpMutant? catchUp = null)
    {
        (_batches, _catchUp) = (batches, catchUp);
        _world = new World(seed);
        _store = new SimulatedStore(kind);
        _mutate = mutate ?? (api => api);
        _streams = 1 + _world.Random.Next(MostStreams);
        _commandsPerClient = 1 + _world.Random.Next(MostCommands);
        _follows = _world.Chance(0.25) || catchUp is not null;
        _consumes = _follows || _world.Chance(0.3);
        _hasPoison = _follows && _world.Chance(0.3);
        if (_world.Chance(0.3))
        {
            _clocksAhead = [.. _clocksAhead.Select(_ => TimeSpan.FromSeconds(_world.Random.Next(-20, 20)))];
        }

        _chunks = _world.Chance(0.7) ? SimulatedInstance.SmallChunks : new Chunks();
        _world.Busy = _world.Chance(0.5) ? _world.Random.NextDouble() * 0.05 : 0;
        _refuses = _world.Chance(0.25);
        var level = Math.Pow(_world.Random.NextDouble(), 2) * 0.1;
        _faults = new Faults
        {
            FailBefore = level,
            FailAfter = level,
            NeverAnswer = level / 2,
            LandLate = level,
            LandSoon = level,
            LandTwice = level / 2,
            ForgetRefusals = 0.3,
        };
        if (_refuses)
        {
            _faults.Refuses = e => e.Version % 5 == 2 && e.Stream.EndsWith('0');
        }

        _reader = new SimulatedInstance(
            _world, _store, _faults, _published, "reader", TimeSpan.Zero, mutateReader ?? (api => api), chunks: _chunks).Store;
    }

    public int Committed => _seen.Count;

    /// <summary>Events that say that the catch-up found their cause.</summary>
    public int Found { get; private set; }

    /// <summary>What happened and when: the same for the same seed.</summary>
    public string Course => string.Join(' ', [$"{_world.Steps}", _world.GetUtcNow().ToString("O"), .. _published.Select(e => e.Id)]);

    /// <exception cref="PromiseBrokenException">What was promised did not hold.</exception>
    public void Execute() => _world.Run(ExecuteAsync, MaxSteps);

    private async Task ExecuteAsync()
    {
        _documents.Latency = () => _world.DelayAsync(5);
        _documents.BeforeSave = _ => FailDocuments(_faults.FailBefore);
        _documents.AfterSave = () => FailDocuments(_faults.FailAfter);
        _documents.Rewrite = (key, json) => _catchUp?.Written(key, json) ?? json;
        for (var i = 0; i < Instances; i++)
        {
            StartInstance(i);
        }

        var clients = Enumerable.Range(0, Instances * ClientsPerInstance).Select(ClientAsync).ToArray();
        var others = new[] { ReadAsync(), HarmAsync(), _follows ? BringAsync() : _consumes ? ConsumeAsync() : Task.CompletedTask };
        await Task.WhenAll(clients);
        _resting = true;
        _faults.End();
        await Task.WhenAll(others);

        await Task.Delay(ComesToRest, _world);
        foreach (var instance in _instances)
        {
            Promise(!instance.Running.IsCompleted, $"an instance has ended by itself: {instance.Running.Exception}");
            Promise(instance.Store.Loss is null, $"an instance thinks that the store has lost {instance.Store.Loss}, and it has not");
        }

        await EveryInstanceWorksAsync();
        await Task.Delay(_refuses ? Parks : Publishes, _world);
        _faults.Refuses = _ => false;
        await Task.Delay(_refuses ? Retries : TimeSpan.Zero, _world);
        await RedriveAsync();
        if (_follows)
        {
            await Task.Delay(SimulatedConsumer.HasCaughtUpWithin, _world);
        }
        else if (_consumes)
        {
            await ConsumeTheLastAsync();
            await Task.Delay(Publishes, _world);
        }

        await ReadLogAsync();
        if (_follows)
        {
            await CheckFollowedAsync();
        }

        await CheckAsync(_instances[0].Store);
    }

    private void StartInstance(int i)
    {
        _instances[i] = new SimulatedInstance(_world, _store, _faults, _published, $"instance-{i}", _clocksAhead[i], _mutate, _batches, _chunks);
        _instances[i].Start();
        if (_follows)
        {
            StartConsumer(i);
        }
    }

    private void StartConsumer(int i)
    {
        var instance = _instances[i];
        IPublisherLogs logs = new SimulatedLogs(_world, instance, () => (_instances[_world.Random.Next(Instances)] ?? instance).Store);
        _consumers[i] = new SimulatedConsumer(
            _world, instance, $"instance-{i}", _catchUp?.Over(logs) ?? logs, _documents, (events, cancellation) => HandleAsync(instance, events, cancellation));
        _ = FollowAsync(_consumers[i]);
    }

    private async Task FollowAsync(SimulatedConsumer consumer)
    {
        try
        {
            await consumer.FollowAsync();
        }
        catch (Exception exception)
        {
            _followerEnd ??= exception;
        }
    }

    private void FailDocuments(double probability)
    {
        if (_world.Chance(probability))
        {
            throw new DaprException("the documents cannot be written", new StoreFault("failed"));
        }
    }

    private async Task ClientAsync(int number)
    {
        for (var i = 0; i < _commandsPerClient; i++)
        {
            await _world.DelayAsync(400);
            var id = $"s{_world.Random.Next(_streams)}";
            var command = $"c{number}-{++_commands}";
            var parts = 1 + _world.Random.Next(3);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(_world.Random.Next(1, 20)), _world);
            var instance = _instances[number % Instances];
            var choice = _world.Random.Next(10);
            var context = new CommandContext(
                LikelyNew: _world.Chance(0.2),
                ExpectedVersion: choice is 0 or 1 ? Math.Max(0, _committed.GetValueOrDefault(Category.StreamOf(id)) - _world.Random.Next(2)) : null);
            Func<Marks, bool> wants = choice switch
            {
                2 or 3 => state => state.Count % 2 == 0,
                4 or 5 => state => state.Digest % 3 != 0,
                _ => _ => true,
            };
            await UnlessFailedAsync(() => CommandAsync(instance.Store, id, command, parts, context, patience.Token, wants, refuses: choice > 3));
        }
    }

    /// <param name="wants">On a state that it does not want the command writes nothing, or is refused.</param>
    private async Task CommandAsync(
        EventStore store,
        string id,
        string command,
        int parts,
        CommandContext context,
        CancellationToken patience,
        Func<Marks, bool>? wants = null,
        bool refuses = false)
    {
        var stream = Category.StreamOf(id);
        var before = _committed.GetValueOrDefault(stream);
        Handled<Marks> handled;
        try
        {
            handled = await store.HandleAsync(Category, id, Decide, context, patience);
        }
        catch (WrongVersionException exception)
        {
            Promise(exception.Actual != exception.Expected, $"{command} was refused at the version that it expected, {exception.Expected}");
            Answered(command, stream, exception.Actual, null, before);
            return;
        }

        Answered(command, stream, handled.Stream.Version, handled.Stream.State, before);
        if (handled.Appended.Count == 0)
        {
            Promise(wants?.Invoke(handled.Stream.State) == false, $"{command} wrote nothing on {handled.Stream.State}, where it was to write");
            Promise(refuses == handled.Refusal is not null, $"{command} wrote nothing, and its refusal is {handled.Refusal}");
            return;
        }

        _acknowledged.Add(command, (stream, handled.Appended[0].Version, parts));
        Promise(handled.Appended.Count == parts, $"{command}: {handled.Appended.Count} events acknowledged, {parts} decided");
        Promise(
            context.ExpectedVersion is not { } expected || handled.Appended[0].Version == expected + 1,
            $"{command} expected version {context.ExpectedVersion} and was committed as {handled.Appended[0].Id}");
        See(handled.Appended);

        Decision<Marked> Decide(Marks state) => wants?.Invoke(state) switch
        {
            false when refuses => Decision<Marked>.Refuse("not-wanted", $"not on {state}"),
            false => Decision<Marked>.Nothing,
            _ => new([.. Enumerable.Range(0, parts).Select(part => new Marked(command, part, parts, state.Count, state.Digest))], null),
        };
    }

    // Whatever is told of a stream is as it once was, and not before what was known to be committed when it was asked.
    private void Answered(string who, string stream, long version, Marks? state, long before)
    {
        Promise(version >= before, $"{who} was told version {version} of {stream}, after version {before} had been seen");
        _answers.Add(new Answer(who, stream, version, state));
    }

    // The broker takes everything now, also what it refused before.
    private async Task RedriveAsync()
    {
        var store = _instances[_world.Random.Next(Instances)].Store;
        foreach (var parked in await store.ReadParkedAsync(default))
        {
            Promise(await store.RedriveParkedAsync(parked.Id, default), $"{parked.Id} is parked and is not found");
        }

        Promise((await _reader.ReadParkedAsync(default)).Count == 0, "events are parked, though all have been redriven");
    }

    // A killed instance never answers; its client asks no more.
    private async Task UnlessFailedAsync(Func<Task> call)
    {
        try
        {
            await call().WaitAsync(TimeSpan.FromSeconds(30), _world);
        }
        catch (Exception exception) when (exception is EventStoreUnavailableException or OperationCanceledException or TimeoutException)
        {
            // What it did is checked in the end.
        }
    }

    private async Task ReadAsync()
    {
        while (!_resting)
        {
            await _world.DelayAsync(300);
            await UnlessFailedAsync(ReadLogAsync);
            var store = _instances[_world.Random.Next(Instances)].Store;
            var stream = Category.StreamOf($"s{_world.Random.Next(_streams)}");
            var (after, limit) = (_world.Random.Next(60), 1 + _world.Random.Next(20));
            await UnlessFailedAsync(async () => See(await store.ReadStreamAsync(stream, after, limit, default)));
            var before = _committed.GetValueOrDefault(stream);
            await UnlessFailedAsync(async () =>
            {
                var loaded = await store.LoadAsync(Category, stream["mark-".Length..], default);
                Answered("a reader", stream, loaded.Version, loaded.State, before);
            });
        }
    }

    private async Task ReadLogAsync()
    {
        foreach (var lane in (await _reader.ReadLanesAsync(default)).Lanes)
        {
            while (true)
            {
                var position = _positions.GetValueOrDefault(lane.Name);
                var page = await _reader.ReadLogAsync(lane.Name, position, 1 + _world.Random.Next(8), default);

                // Another read may have passed this one while it waited.
                if (page is null || page.Next == position || _positions.GetValueOrDefault(lane.Name) != position)
                {
                    break;
                }

                _positions[lane.Name] = page.Next;
                See(page.Events);
                foreach (var logged in page.Events)
                {
                    _logged[logged.Id] = _logged.GetValueOrDefault(logged.Id) + 1;
                    var former = _lastLogged.GetValueOrDefault((lane.Name, logged.Stream));
                    Promise(former < logged.Version, $"lane {lane.Name} has {logged.Id} after version {former}");
                    _lastLogged[(lane.Name, logged.Stream)] = logged.Version;
                }
            }
        }
    }

    // The broker loses, repeats and reorders, and hands an event to any instance.
    private async Task ConsumeAsync()
    {
        while (!_resting)
        {
            await _world.DelayAsync(400);
            if (_published.FindAll(e => e.Stream.StartsWith("mark-", StringComparison.Ordinal)) is { Count: > 0 } marks)
            {
                await UnlessFailedAsync(() => ConsumeAsync(marks[_world.Random.Next(marks.Count)]));
            }
        }
    }

    // The same with a broker that brings what is published as it comes, and brings nothing again in the end: what it lost, or brought to one that
    // died over it, only the log has.
    private async Task BringAsync()
    {
        var falls = _world.Chance(0.2) ? _world.GetUtcNow() + TimeSpan.FromSeconds(_world.Random.Next(30)) : DateTimeOffset.MaxValue;
        var brought = new List<Task>();
        for (var next = 0; !_resting; await _world.DelayAsync(50))
        {
            for (; next < _published.Count; next++)
            {
                if (_published[next].Stream.StartsWith("mark-", StringComparison.Ordinal) && falls > _world.GetUtcNow())
                {
                    brought.AddRange(Bring(_published[next]));
                }
            }
        }

        await Task.WhenAll(brought);
    }

    private IEnumerable<Task> Bring(RecordedEvent recorded) => _world.Random.Next(10) switch
    {
        < 2 => [],
        2 => [BringAsync(recorded, 50), BringAsync(recorded, 20_000)],
        3 or 4 => [BringAsync(recorded, 20_000)],
        _ => [BringAsync(recorded, 50)],
    };

    private async Task BringAsync(RecordedEvent recorded, double withinMilliseconds)
    {
        await _world.DelayAsync(withinMilliseconds);
        for (var (attempt, isDone) = (0, false); attempt < 2 && !isDone; attempt++)
        {
            var consumer = _consumers[_world.Random.Next(Instances)];
            _catchUp?.Arrived(consumer, recorded);
            _brought.Add(recorded.Id);
            await UnlessFailedAsync(async () => isDone = await consumer.DeliverAsync(recorded));
        }
    }

    private async Task HandleAsync(SimulatedInstance instance, IReadOnlyList<IncomingEvent> events, CancellationToken cancellationToken)
    {
        if (events.Any(incoming => IsPoison(incoming.Recorded)))
        {
            throw new InvalidOperationException("Nobody can handle this.");
        }

        await instance.Store.ConsumeAsync(
            Consumed, TallyOf(events[0].Recorded.Stream), events, (_, incoming) => TallyFor(incoming), cancellationToken);
        _handled.UnionWith(events.Select(incoming => incoming.Recorded.Id));
    }

    private bool IsPoison(RecordedEvent recorded) => _hasPoison && recorded.Version % 7 == 3;

    private async Task CheckFollowedAsync()
    {
        Promise(_followerEnd is null, $"a follower has ended by itself: {_followerEnd}");
        var letters = (await SimulatedConsumer.LettersOf(_documents, _world).ReadAsync(null, int.MaxValue, default))!.Items.Select(letter => letter.EventId).ToHashSet();
        foreach (var marked in _published.Where(e => e.Stream.StartsWith("mark-", StringComparison.Ordinal)))
        {
            Promise(IsPoison(marked) || _handled.Contains(marked.Id), $"{marked.Id} was never handled");
            Promise(IsPoison(marked) == letters.Contains(marked.Id), $"{marked.Id} is a dead letter: {letters.Contains(marked.Id)}");
        }

        foreach (var lane in (await _reader.ReadLanesAsync(default)).Lanes)
        {
            var cursor = await SimulatedConsumer.DocumentsOf(_documents, _world).ReadAsync<Cursor>(SimulatedConsumer.CursorOf(lane.Name), default);
            Promise(cursor?.Position == lane.Settled, $"lane {lane.Name} is settled up to {lane.Settled} and followed up to {cursor?.Position}");
        }
    }

    private async Task ConsumeTheLastAsync()
    {
        for (var s = 0; s < _streams; s++)
        {
            if (_published.Where(e => e.Stream == Category.StreamOf($"s{s}")).MaxBy(e => e.Version) is { } last)
            {
                await ConsumeAsync(last);
            }
        }
    }

    private async Task EveryInstanceWorksAsync()
    {
        foreach (var instance in _instances)
        {
            for (var s = 0; s < _streams; s++)
            {
                try
                {
                    await CommandAsync(instance.Store, $"s{s}", $"last-{++_commands}", 1, new CommandContext(), default).WaitAsync(WorksWithin, _world);
                }
                catch (Exception exception) when (exception is EventStoreUnavailableException or TimeoutException)
                {
                    Promise(false, $"an instance does not take commands, though nothing fails any more: {exception.Message}");
                }
            }
        }
    }

    private Task<Handled<Tallies>> ConsumeAsync(RecordedEvent delivered)
    {
        _brought.Add(delivered.Id);
        return _instances[_world.Random.Next(Instances)].Store.ConsumeAsync(
            Consumed,
            TallyOf(delivered.Stream),
            [new IncomingEvent("self", delivered, SimulatedInstance.Types.Read(delivered))],
            (_, incoming) => TallyFor(incoming),
            default);
    }

    private static Decision<Tallied> TallyFor(IncomingEvent incoming) =>
        Matters(incoming.Payload) ? new Tallied(incoming.Recorded.Stream, incoming.Recorded.Version) : Decision<Tallied>.Nothing;

    private static string TallyOf(string source) => $"t{source[^1] % TallyStreams}";

    // The others only move the position.
    private static bool Matters(object payload) => payload is Marked { Part: 0 };

    private async Task HarmAsync()
    {
        while (!_resting)
        {
            await _world.DelayAsync(6_000);
            var i = _world.Random.Next(Instances);
            var until = _world.GetUtcNow() + TimeSpan.FromSeconds(_world.Random.Next(15));
            switch (_resting ? 0 : _world.Random.Next(12))
            {
                case < 4:
                    _instances[i].Pause(TimeSpan.FromSeconds(_world.Random.Next(30)));
                    break;
                case 4:
                    _faults.DownUntil = until;
                    break;
                case 5:
                    _faults.ReadOnlyUntil = until;
                    break;
                case 6:
                    _faults.BrokerDownUntil = until;
                    break;
                case 7:
                    _instances[i].CutOff(until - _world.GetUtcNow());
                    break;
                case 8:
                    await StopAsync(_instances[i]);
                    StartInstance(i);
                    break;
                case 9:
                    // Two live ones of one name, for a while.
                    var former = _instances[i];
                    StartInstance(i);
                    await _world.DelayAsync(15_000);
                    former.Kill();
                    break;
                default:
                    _instances[i].Kill();
                    await _world.DelayAsync(15_000);
                    StartInstance(i);
                    break;
            }
        }

        // Nobody stays dead or paused, so that the run can come to rest.
        for (var i = 0; i < Instances; i++)
        {
            _instances[i].Pause(TimeSpan.Zero);
            _instances[i].CutOff(TimeSpan.Zero);
        }
    }

    private async Task StopAsync(SimulatedInstance instance)
    {
        instance.Pause(TimeSpan.Zero);
        await (_consumers[Array.IndexOf(_instances, instance)]?.StopAsync() ?? Task.CompletedTask);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(_world.Random.Next(10)), _world);
        try
        {
            await instance.Store.StopAsync(patience.Token).WaitAsync(StopsWithin, _world);
        }
        catch (TimeoutException)
        {
            Promise(false, $"an instance that was asked to stop had not done so after {StopsWithin}");
        }
    }

    private async Task CheckAsync(EventStore store)
    {
        var published = _published.Select(p => p.Id).ToHashSet();
        var found = new Dictionary<string, List<(string Stream, long Version, Marked Marked)>>();
        var consumable = new List<(string Source, long Version)>();
        for (var s = 0; s < _streams; s++)
        {
            var stream = Category.StreamOf($"s{s}");
            var events = await WholeAsync(store, stream, published);
            var states = new List<Marks> { Marks.None };
            foreach (var e in events)
            {
                var marked = (Marked)SimulatedInstance.Types.Read(e);
                states.Add(Marks.After(states[^1], marked));
                found.TryAdd(marked.Command, []);
                found[marked.Command].Add((stream, e.Version, marked));
                if (Matters(marked))
                {
                    consumable.Add((stream, e.Version));
                }
            }

            for (var i = 0; i < events.Count; i++)
            {
                var marked = (Marked)SimulatedInstance.Types.Read(events[i]);
                var saw = states[i - marked.Part];
                Promise(
                    (marked.SawCount, marked.SawDigest) == (saw.Count, saw.Digest),
                    $"{events[i].Id} was decided on {marked.SawCount}/{marked.SawDigest}, and before it there was {saw}");
            }

            foreach (var answer in _answers.Where(answer => answer.Stream == stream))
            {
                Promise(answer.Version < states.Count, $"{answer.Who} was told version {answer.Version} of {stream}, which has {events.Count}");
                Promise(
                    answer.State is null || answer.State == states[(int)answer.Version],
                    $"{answer.Who} was told {answer.State} at version {answer.Version} of {stream}, and it was {states[(int)answer.Version]}");
            }

            var loaded = await store.LoadAsync(Category, $"s{s}", default);
            Promise(loaded.State == states[^1], $"{stream} loads as {loaded.State}, its events say {states[^1]}");
            var version = _world.Random.Next(events.Count + 2);
            var then = await store.LoadAsync(Category, $"s{s}", version, default);
            var expected = version >= 1 && version <= events.Count ? states[version] : null;
            Promise(then?.State == expected, $"{stream} at version {version} loads as {then?.State}, its events say {expected}");
        }

        foreach (var (command, made) in found)
        {
            Promise(made.Count == made[0].Marked.Parts, $"{command} left {made.Count} of {made[0].Marked.Parts} events");
            for (var part = 0; part < made.Count; part++)
            {
                Promise(
                    made[part].Marked.Part == part && made[part].Stream == made[0].Stream && made[part].Version == made[0].Version + part,
                    $"{command}: part {part} is not in its place");
            }
        }

        foreach (var (command, (stream, from, parts)) in _acknowledged)
        {
            Promise(
                found.TryGetValue(command, out var made) && made.Count == parts && made[0].Stream == stream && made[0].Version == from,
                $"{command} was acknowledged at {stream}:{from} and is not there");
        }

        if (_consumes)
        {
            await CheckConsumedAsync(store, published, consumable);
        }

        // Whatever was ever read, acknowledged, logged or published is still there, as it was.
        See(_published);
        foreach (var (stream, version) in _seen.Keys)
        {
            Promise(_kept.Contains($"{stream}:{version}"), $"{stream}:{version} was seen, and is in no stream");
        }
    }

    private async Task CheckConsumedAsync(EventStore store, HashSet<string> published, List<(string Source, long Version)> consumable)
    {
        var consumed = new List<(string Source, long Version)>();
        for (var t = 0; t < TallyStreams; t++)
        {
            var events = await WholeAsync(store, Consumed.StreamOf($"t{t}"), published);
            consumed.AddRange(events.Select(e => (Tallied)SimulatedInstance.Types.Read(e)).Select(tallied => (tallied.Source, tallied.Version)));
            foreach (var e in events)
            {
                Promise(e.FoundBy is not null || _brought.Contains(e.CausationId!), $"{e.Id} does not say how {e.CausationId} was found, which no delivery brought");
                Promise(e.FoundBy != IncomingEvent.ByCatchUp || _follows, $"{e.Id} was found by a catch-up that nobody makes");
            }

            Found += events.Count(e => e.FoundBy == IncomingEvent.ByCatchUp);
        }

        // The last of a stream may be what nobody can handle; no later one has brought it then.
        consumable.RemoveAll(e => _follows && !_published.Exists(later => later.Stream == e.Source && later.Version >= e.Version && !IsPoison(later)));

        // Sorted by source only, so that what came in another order shows.
        var inOrder = consumed.OrderBy(tallied => tallied.Source, StringComparer.Ordinal);
        Promise(inOrder.SequenceEqual(consumable), $"consumed {string.Join(' ', inOrder)}, and there was {string.Join(' ', consumable)}");
    }

    private async Task<IReadOnlyList<RecordedEvent>> WholeAsync(EventStore store, string stream, HashSet<string> published)
    {
        var events = await store.ReadStreamAsync(stream, 0, int.MaxValue, default);
        See(events);
        for (var i = 0; i < events.Count; i++)
        {
            var e = events[i];
            Promise(e.Version == i + 1, $"{stream} has version {e.Version} at place {i + 1}");
            Promise(published.Contains(e.Id), $"{e.Id} was never published");
            _kept.Add(e.Id);
            Promise(_logged.GetValueOrDefault(e.Id) == 1, $"{e.Id} was read {_logged.GetValueOrDefault(e.Id)} times from the log");
        }

        return events;
    }

    private void See(IReadOnlyList<RecordedEvent> events)
    {
        foreach (var e in events)
        {
            _committed[e.Stream] = Math.Max(_committed.GetValueOrDefault(e.Stream), e.Version);
            var data = e.Data.GetRawText();
            if (!_seen.TryAdd((e.Stream, e.Version), data))
            {
                Promise(_seen[(e.Stream, e.Version)] == data, $"{e.Id} was {_seen[(e.Stream, e.Version)]} and is now {data}");
            }
        }
    }

    private static void Promise(bool held, string otherwise)
    {
        if (!held)
        {
            throw new PromiseBrokenException(otherwise);
        }
    }

    private sealed record Tallies(int Count);

    private sealed record Cursor(long Position);

    /// <summary>What somebody was told of a stream; <c>State</c> null where only the version was.</summary>
    private sealed record Answer(string Who, string Stream, long Version, Marks? State);
}

internal sealed class PromiseBrokenException(string message) : Exception(message);
