using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>
/// One simulated run: several instances work on few streams while their calls fail in every way, they are paused beyond their lease, killed and
/// started again; then the faults end, and what the event store promises is checked.
/// </summary>
internal sealed class Run
{
    private const int Instances = 3;
    private const int ClientsPerInstance = 3;
    private const int MostStreams = 4;
    private const int MostCommands = 16;
    private const long MaxSteps = 2_000_000;

    private static readonly StreamCategory<Marks, Marked> Category = new("mark", "marks", Marks.None, Marks.After);

    private readonly World _world;
    private readonly SimulatedStore _store;
    private readonly Faults _faults;
    private readonly Func<IStateApi, IStateApi> _mutate;
    private readonly EventStore _reader;
    private readonly List<RecordedEvent> _published = [];
    private readonly Dictionary<string, (string Stream, long From, int Parts)> _acknowledged = [];
    private readonly HashSet<string> _refused = [];
    private readonly Dictionary<(string Stream, long Version), string> _seen = [];
    private readonly Dictionary<string, long> _positions = [];
    private readonly Dictionary<string, int> _logged = [];
    private readonly SimulatedInstance[] _instances = new SimulatedInstance[Instances];
    private readonly int _streams;
    private readonly int _commandsPerClient;
    private int _commands;
    private bool _resting;

    public Run(int seed, StoreClass kind, Func<IStateApi, IStateApi>? mutate = null, Func<IStateApi, IStateApi>? mutateReader = null)
    {
        _world = new World(seed);
        _store = new SimulatedStore(kind);
        _mutate = mutate ?? (api => api);
        _streams = 1 + _world.Random.Next(MostStreams);
        _commandsPerClient = 1 + _world.Random.Next(MostCommands);
        var level = _world.Random.NextDouble() * 0.08;
        _faults = new Faults { FailBefore = level, FailAfter = level, NeverAnswer = level / 2, LandLate = level };
        _reader = new SimulatedInstance(_world, _store, _faults, _published, "reader", mutateReader ?? (api => api)).Store;
    }

    public int Committed => _seen.Count;

    /// <exception cref="PromiseBrokenException">What was promised did not hold.</exception>
    public void Execute() => _world.Run(ExecuteAsync, MaxSteps);

    private async Task ExecuteAsync()
    {
        for (var i = 0; i < Instances; i++)
        {
            StartInstance(i);
        }

        var clients = Enumerable.Range(0, Instances * ClientsPerInstance).Select(ClientAsync).ToArray();
        var reader = ReadAsync();
        var chaos = HarmAsync();
        await Task.WhenAll(clients);
        _resting = true;
        _faults.End();
        await Task.WhenAll(reader, chaos);

        // Late writes land, leases run out, the last lanes are adopted.
        await Task.Delay(TimeSpan.FromMinutes(1), _world);
        await ReadLogAsync();
        await CheckAsync(_instances[0].Store);
    }

    private void StartInstance(int i)
    {
        _instances[i] = new SimulatedInstance(_world, _store, _faults, _published, $"instance-{i}", _mutate);
        _instances[i].Start();
    }

    private async Task ClientAsync(int number)
    {
        for (var i = 0; i < _commandsPerClient; i++)
        {
            await _world.DelayAsync(400);
            var id = $"s{_world.Random.Next(_streams)}";
            var command = $"c{number}-{++_commands}";
            var parts = 1 + _world.Random.Next(3);
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20), _world);
            var instance = _instances[number % Instances];
            try
            {
                // A killed instance never answers; its client asks no more.
                var handled = await instance.Store.HandleAsync(
                    Category,
                    id,
                    _ => new Decision<Marked>([.. Enumerable.Range(0, parts).Select(part => new Marked(command, part, parts))], null),
                    new CommandContext(LikelyNew: _world.Chance(0.2)),
                    patience.Token).WaitAsync(TimeSpan.FromSeconds(30), _world);
                _acknowledged.Add(command, (Category.StreamOf(id), handled.Appended[0].Version, parts));
                Promise(handled.Appended.Count == parts, $"{command}: {handled.Appended.Count} events acknowledged, {parts} decided");
                See(handled.Appended);
            }
            catch (Exception exception) when (exception is EventStoreUnavailableException or StoreFault or OperationCanceledException or TimeoutException)
            {
                _refused.Add(command);
            }
        }
    }

    private async Task ReadAsync()
    {
        while (!_resting)
        {
            await _world.DelayAsync(800);
            var store = _instances[_world.Random.Next(Instances)].Store;
            try
            {
                await ReadLogAsync().WaitAsync(TimeSpan.FromSeconds(10), _world);
                var stream = Category.StreamOf($"s{_world.Random.Next(_streams)}");
                var (after, limit) = (_world.Random.Next(60), 1 + _world.Random.Next(20));
                See(await store.ReadStreamAsync(stream, after, limit, default).WaitAsync(TimeSpan.FromSeconds(10), _world));
            }
            catch (Exception exception) when (exception is StoreFault or OperationCanceledException or TimeoutException)
            {
                // Read again later.
            }
        }
    }

    private async Task ReadLogAsync()
    {
        foreach (var lane in (await _reader.ReadLanesAsync(default)).Lanes)
        {
            while (true)
            {
                var position = _positions.GetValueOrDefault(lane.Name);
                var page = await _reader.ReadLogAsync(lane.Name, position, 5, default);

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
                }
            }
        }
    }

    private async Task HarmAsync()
    {
        while (!_resting)
        {
            await _world.DelayAsync(6_000);
            var i = _world.Random.Next(Instances);
            if (_world.Chance(0.5))
            {
                _instances[i].Pause(TimeSpan.FromSeconds(_world.Random.Next(30)));
            }
            else
            {
                _instances[i].Kill();
                await _world.DelayAsync(15_000);
                StartInstance(i);
            }
        }

        // Nobody stays dead or paused, so that the run can come to rest.
        for (var i = 0; i < Instances; i++)
        {
            _instances[i].Pause(TimeSpan.Zero);
        }
    }

    private async Task CheckAsync(EventStore store)
    {
        var published = _published.Select(p => p.Id).ToHashSet();
        var found = new Dictionary<string, List<(string Stream, long Version, Marked Marked)>>();
        for (var s = 0; s < _streams; s++)
        {
            var stream = Category.StreamOf($"s{s}");
            var events = await store.ReadStreamAsync(stream, 0, int.MaxValue, default);
            See(events);
            var state = Marks.None;
            for (var i = 0; i < events.Count; i++)
            {
                Promise(events[i].Version == i + 1, $"{stream} has version {events[i].Version} at place {i + 1}");
                var marked = (Marked)new EventTypes().Add<Marked>().Read(events[i]);
                state = Marks.After(state, marked);
                found.TryAdd(marked.Command, []);
                found[marked.Command].Add((stream, events[i].Version, marked));
                Promise(published.Contains(events[i].Id), $"{events[i].Id} was never published");
                Promise(_logged.GetValueOrDefault(events[i].Id) == 1, $"{events[i].Id} was read {_logged.GetValueOrDefault(events[i].Id)} times from the log");
            }

            var loaded = await store.LoadAsync(Category, $"s{s}", default);
            Promise(loaded.State == state, $"{stream} loads as {loaded.State}, its events say {state}");
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

        foreach (var extra in _logged.Keys.Concat(published).Where(id => !_seen.ContainsKey(Split(id))))
        {
            Promise(false, $"{extra} was published or logged, but no stream has it");
        }
    }

    private static (string Stream, long Version) Split(string id) =>
        (id[..id.LastIndexOf(':')], long.Parse(id[(id.LastIndexOf(':') + 1)..], System.Globalization.CultureInfo.InvariantCulture));

    private void See(IReadOnlyList<RecordedEvent> events)
    {
        foreach (var e in events)
        {
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
}

internal sealed class PromiseBrokenException(string message) : Exception(message);
