using DaprOrders.EventSourcing.Lanes;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>
/// A store that loses the end of what was written, up to everything, under running instances: it is noticed, nothing is acknowledged until an operator has
/// declared the recovery, and afterwards everybody works and every reader of the log gets everything that is there.
/// </summary>
internal sealed class LossRun
{
    private const int Instances = 3;
    private const int ClientsPerInstance = 2;
    private const int Streams = 4;
    private const long MaxSteps = 600_000;
    private const int LoggedShown = 20;

    // A page that is lost before its tip is written leaves a stream that cannot be read any more; docs/event-store.md says so.
    private const int NoPages = 10_000;

    // A third of a lease, and as long again where a look fails.
    private static readonly TimeSpan NoticesWithin = TimeSpan.FromSeconds(20);

    // Operators are slower than a write that lands late.
    private static readonly TimeSpan UntilDeclared = TimeSpan.FromSeconds(35);
    private static readonly TimeSpan RecoversWithin = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ComesToRest = TimeSpan.FromSeconds(45);
    private static readonly TimeSpan WorksWithin = TimeSpan.FromSeconds(5);
    private static readonly StreamCategory<Marks, Marked> Category = new("mark", "marks", Marks.None, Marks.After);

    private readonly World _world;
    private readonly SimulatedStore _store;
    private readonly Func<IStateApi, IStateApi> _mutate;
    private readonly Faults _faults;
    private readonly List<RecordedEvent> _published = [];
    private readonly SimulatedInstance[] _instances = new SimulatedInstance[Instances];
    private readonly SimulatedInstance _reader;
    private readonly Dictionary<string, (string Stream, long From)> _acknowledged = [];
    private readonly Dictionary<string, long> _positions = [];
    private readonly HashSet<string> _read = [];
    private readonly HashSet<string> _meanwhile = [];
    private readonly List<string> _course = [];
    private readonly Logged _logged = new(LogLevel.Warning);
    private readonly Fate _fate;
    private int _commands;
    private bool _isWorking = true;

    public LossRun(int seed, StoreClass kind, Func<IStateApi, IStateApi>? mutate = null, Fate? fate = null)
    {
        _world = new World(seed);
        _store = new SimulatedStore(kind);
        _mutate = mutate ?? (api => api);
        _fate = fate ?? (Fate)_world.Random.Next(4);
        var level = Math.Pow(_world.Random.NextDouble(), 2) * 0.03;
        _faults = new Faults { FailBefore = level, FailAfter = level, NeverAnswer = level / 2, LandLate = level / 2, LandTwice = level / 2 };
        _reader = new SimulatedInstance(_world, _store, new Faults(), _published, "reader", TimeSpan.Zero, _mutate);
    }

    /// <summary>What the store does.</summary>
    public enum Fate
    {
        LosesNothing,
        LosesTheEnd,
        LosesEverything,

        /// <summary>And every instance starts anew with it, so that nobody is there to notice.</summary>
        LosesEverythingAndItsInstances,
    }

    /// <summary>Whether a loss was noticed.</summary>
    public bool WasNoticed { get; private set; }

    /// <exception cref="PromiseBrokenException">What was promised did not hold.</exception>
    public void Execute()
    {
        try
        {
            _world.Run(ExecuteAsync, MaxSteps);
        }
        catch (Exception exception) when (exception is PromiseBrokenException or SimulationException)
        {
            throw new PromiseBrokenException($"{exception.Message} ({_fate}: {string.Join(", ", _course)})\n{string.Join('\n', _logged.Messages.TakeLast(LoggedShown))}");
        }
    }

    private void Note(string what) => _course.Add($"{what} at {_world.GetUtcNow():mm:ss.fff}");

    private async Task ExecuteAsync()
    {
        for (var i = 0; i < Instances; i++)
        {
            StartInstance(i);
        }

        var others = Enumerable.Range(0, Instances * ClientsPerInstance).Select(ClientAsync).Append(ReadAsync()).ToArray();
        await _world.DelayAsync(6_000);
        await LoseAsync();
        await _world.DelayAsync(20_000);
        _isWorking = false;
        _faults.End();
        await Task.WhenAll(others);
        await Task.Delay(ComesToRest, _world);
        await CheckAsync();
    }

    private void StartInstance(int i)
    {
        _instances[i] = new SimulatedInstance(_world, _store, _faults, _published, $"instance-{i}", TimeSpan.Zero, _mutate, logger: _logged, tipEvents: NoPages);
        _instances[i].Start();
    }

    private async Task LoseAsync()
    {
        var before = _acknowledged.Keys.ToHashSet();
        var lost = _fate switch
        {
            Fate.LosesNothing => 0,
            Fate.LosesTheEnd => _store.GoBack(1 + _world.Random.Next(_world.Chance(0.5) ? 20 : 400)),
            _ => _store.GoBack(int.MaxValue),
        };
        Note($"{lost} writes lost");
        if (_fate == Fate.LosesEverythingAndItsInstances)
        {
            foreach (var instance in _instances)
            {
                instance.Kill();
            }
        }

        var kept = Stored();
        var mustBeNoticed = before.Any(command => !kept.ContainsKey(command) && !IsInSegment(_acknowledged[command]));
        foreach (var command in _acknowledged.Keys.Where(command => !kept.ContainsKey(command)).ToList())
        {
            _acknowledged.Remove(command);
        }

        if (_fate == Fate.LosesEverythingAndItsInstances)
        {
            for (var i = 0; i < Instances; i++)
            {
                StartInstance(i);
            }

            return;
        }

        before = [.. _acknowledged.Keys];
        await UntilAsync(() => _instances.Any(instance => instance.Store.Loss is not null), NoticesWithin);
        WasNoticed = _instances.Any(instance => instance.Store.Loss is not null);
        Note(WasNoticed ? "noticed" : "not noticed");
        Promise(lost > 0 || !WasNoticed, "an instance thinks that the store has lost something, and it has not");
        Promise(WasNoticed || !mustBeNoticed, "acknowledged commands are lost, and nobody has noticed it");
        if (WasNoticed)
        {
            await UntilAsync(() => _instances.All(instance => instance.Store.Loss is not null), NoticesWithin);
            Promise(_instances.All(instance => instance.Store.Loss is not null), "one instance knows of a loss, and another does not");

            _meanwhile.UnionWith(_acknowledged.Keys.Except(before));
            await RecoverAsync();
        }
    }

    private async Task RecoverAsync()
    {
        var before = _acknowledged.Count;
        await Task.Delay(UntilDeclared, _world);
        if (_world.Chance(0.3))
        {
            var i = _world.Random.Next(Instances);
            _instances[i].Kill();
            StartInstance(i);
        }

        Promise(_acknowledged.Count == before, "a command was acknowledged though a loss was known");

        // Of what was acknowledged while nobody knew nothing is promised but that it is not changed once the recovery is declared: until then a write may
        // land late whose tag, on a store that counts, has come to be right once more.
        var kept = Stored();
        foreach (var command in _meanwhile.Where(command => !kept.ContainsKey(command)))
        {
            _acknowledged.Remove(command);
        }

        var declaring = _instances[_world.Random.Next(Instances)];
        while (await DeclareAsync(declaring) is null && _instances.Any(instance => instance.Store.Loss is not null))
        {
            await _world.DelayAsync(1_000);
        }

        Note("declared");
        if (_world.Chance(0.2))
        {
            var i = Array.IndexOf(_instances, declaring);
            declaring.Kill();
            StartInstance(i);
        }

        await UntilAsync(() => _instances.All(instance => instance.Store.Loss is null), RecoversWithin);
        Note("recovered");
        Promise(_instances.All(instance => instance.Store.Loss is null), "a recovery was declared, and is not through");
    }

    private static async Task<LogLoss?> DeclareAsync(SimulatedInstance instance)
    {
        try
        {
            return await instance.Store.RecoverAsync(default);
        }
        catch (EventStoreUnavailableException)
        {
            return null;
        }
    }

    private async Task UntilAsync(Func<bool> condition, TimeSpan atMost)
    {
        var until = _world.GetUtcNow() + atMost;
        while (!condition() && _world.GetUtcNow() < until)
        {
            await _world.DelayAsync(200);
        }
    }

    private async Task ClientAsync(int number)
    {
        while (_isWorking)
        {
            await _world.DelayAsync(300);
            await CommandAsync(number % Instances, TimeSpan.FromSeconds(10));
        }
    }

    private async Task<bool> CommandAsync(int i, TimeSpan patience)
    {
        var (instance, id, command) = (_instances[i], $"s{_world.Random.Next(Streams)}", $"c{++_commands}");
        try
        {
            var handled = await instance.Store.HandleAsync(
                Category, id, _ => new Marked(command, 0, 1), new CommandContext(LikelyNew: _world.Chance(0.2)), default).WaitAsync(patience, _world);

            // What was killed meanwhile has told nobody.
            if (!instance.Killed)
            {
                _acknowledged.Add(command, (handled.Stream.Stream, handled.Stream.Version));
            }

            return true;
        }
        catch (Exception exception) when (exception is EventStoreUnavailableException or TimeoutException or InvalidOperationException)
        {
            return false;
        }
    }

    private async Task ReadAsync()
    {
        while (_isWorking)
        {
            await _world.DelayAsync(500);
            try
            {
                await ReadLogAsync(_positions, _read);
            }
            catch (Exception exception) when (exception is EventStoreUnavailableException or PositionAheadException)
            {
                // Told, and asked again; in the end it must go on.
            }
        }
    }

    private async Task ReadLogAsync(Dictionary<string, long> positions, HashSet<string> read)
    {
        foreach (var lane in (await _reader.Store.ReadLanesAsync(default)).Lanes)
        {
            while (await _reader.Store.ReadLogAsync(lane.Name, positions.GetValueOrDefault(lane.Name), 1 + _world.Random.Next(8), default) is { } page
                && page.Next != positions.GetValueOrDefault(lane.Name))
            {
                positions[lane.Name] = page.Next;
                read.UnionWith(page.Events.Select(CommandOf));
            }
        }
    }

    private async Task CheckAsync()
    {
        for (var i = 0; i < Instances; i++)
        {
            Promise(!_instances[i].Running.IsCompleted, $"an instance has ended by itself: {_instances[i].Running.Exception}");
            for (var s = 0; s < Streams; s++)
            {
                Promise(await CommandAsync(i, WorksWithin), "an instance does not take commands after the recovery");
            }
        }

        await Task.Delay(TimeSpan.FromSeconds(3), _world);
        var found = new Dictionary<string, (string Stream, long Version)>();
        for (var s = 0; s < Streams; s++)
        {
            var stream = Category.StreamOf($"s{s}");
            var events = await _instances[0].Store.ReadStreamAsync(stream, 0, int.MaxValue, default);
            Promise(events.Select(e => e.Version).SequenceEqual(Enumerable.Range(1, events.Count).Select(v => (long)v)), $"{stream} has a gap");
            foreach (var e in events)
            {
                Promise(found.TryAdd(CommandOf(e), (stream, e.Version)), $"{e.Id} is there twice");
            }
        }

        var published = _published.Select(CommandOf).ToHashSet();
        var fresh = new HashSet<string>();
        await ReadLogAsync(_positions, _read);
        await ReadLogAsync([], fresh);
        foreach (var (command, at) in _acknowledged)
        {
            Promise(found.TryGetValue(command, out var there) && there == at, $"{command} was acknowledged at {at} and is not there");
            if (_meanwhile.Contains(command))
            {
                continue;
            }

            Promise(published.Contains(command), $"{command} was never published");
            Promise(fresh.Contains(command), $"{command} is not in the log");
            Promise(_read.Contains(command), $"{command} was not read by who has always followed the log");
        }
    }

    private static string CommandOf(RecordedEvent e) => ((Marked)SimulatedInstance.Types.Read(e)).Command;

    // By what the store holds, without asking an instance.
    private Dictionary<string, (string Stream, long Version)> Stored()
    {
        var stored = new Dictionary<string, (string, long)>();
        foreach (var key in _store.Keys.Where(key => key.StartsWith("stream|", StringComparison.Ordinal)))
        {
            var (stream, value) = (key.Split('|')[1], _store.Get(key)!.Value);
            foreach (var e in key.Contains("|page|", StringComparison.Ordinal) ? Page.Read(value).Events : Tip.Read(value).Events)
            {
                stored[CommandOf(e.Of(stream))] = (stream, e.Version);
            }
        }

        return stored;
    }

    // Where each write is by itself the store may end between a segment and its tips; that shows only in what comes after.
    private bool IsInSegment((string Stream, long From) at) => _store.Keys
        .Where(key => key.StartsWith("lane|", StringComparison.Ordinal) && key.Count(c => c == '|') == 2)
        .Any(key => Segment.Read(_store.Get(key)!.Value).Entries.Any(entry => entry.Stream == at.Stream && entry.From <= at.From && at.From <= entry.To));

    private static void Promise(bool held, string otherwise)
    {
        if (!held)
        {
            throw new PromiseBrokenException(otherwise);
        }
    }
}
