using DaprOrders.EventSourcing.State;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>How often which fault strikes a call; none once the run is to come to rest.</summary>
internal sealed class Faults
{
    public double FailBefore { get; set; }

    public double FailAfter { get; set; }

    public double NeverAnswer { get; set; }

    public double LandLate { get; set; }

    /// <summary>It fails, and takes effect a moment later.</summary>
    public double LandSoon { get; set; }

    /// <summary>It takes effect now, and again later.</summary>
    public double LandTwice { get; set; }

    /// <summary>Of several single writes in one call some are refused, and the answer does not say so.</summary>
    public double ForgetRefusals { get; set; }

    /// <summary>Until then every call of the store fails.</summary>
    public DateTimeOffset DownUntil { get; set; }

    /// <summary>Until then the store answers reads and refuses all writes.</summary>
    public DateTimeOffset ReadOnlyUntil { get; set; }

    /// <summary>Until then nothing can be published.</summary>
    public DateTimeOffset BrokerDownUntil { get; set; }

    /// <summary>Events that the broker never takes, whatever else it takes; to be ended by itself.</summary>
    public Func<RecordedEvent, bool> Refuses { get; set; } = _ => false;

    public void End()
    {
        (FailBefore, FailAfter, NeverAnswer, LandLate, LandSoon, LandTwice, ForgetRefusals) = (0, 0, 0, 0, 0, 0, 0);
        DownUntil = ReadOnlyUntil = BrokerDownUntil = default;
    }
}

/// <summary>A running service: its event store, and calls that the seed may fail, delay, hold back or never answer.</summary>
internal sealed class SimulatedInstance : IStateApi, IEventPublisher, IPublisherStreams
{
    private readonly World _world;
    private readonly SimulatedStore _store;
    private readonly Faults _faults;
    private readonly List<RecordedEvent> _published;
    private readonly BatchWrites _batches;
    private readonly TaskCompletionSource _never = new();
    private DateTimeOffset _pausedUntil;
    private DateTimeOffset _cutOffUntil;

    public SimulatedInstance(
        World world,
        SimulatedStore store,
        Faults faults,
        List<RecordedEvent> published,
        string name,
        TimeSpan clockAhead,
        Func<IStateApi, IStateApi> mutate,
        BatchWrites? batches = null,
        Chunks? chunks = null,
        ILogger<EventStore>? logger = null,
        int tipEvents = 4)
    {
        (_world, _store, _faults, _published) = (world, store, faults, published);
        _batches = batches ?? (store.Kind is StoreClass.Sqlite or StoreClass.Postgres ? BatchWrites.Atomic : BatchWrites.Separate);
        var options = new EventStoreOptions
        {
            Instance = name,
            Lease = TimeSpan.FromSeconds(10),
            CallTimeout = TimeSpan.FromSeconds(2),
            CommitTimeout = TimeSpan.FromSeconds(6),
            MaxBatch = 4,
            QueueLimit = 16,
            RelayBuffer = 6,
            RelayBufferBytes = 1_000,
            TipEvents = tipEvents,
            PublishAttempts = 2,
            Chunks = chunks ?? new Chunks(),
        };
        Store = new EventStore(mutate(this), this, this, Types, options, new ClockAhead(world, clockAhead), logger ?? NullLogger<EventStore>.Instance);
    }

    public static EventTypes Types { get; } = new EventTypes().Add<Marked>().Add<Tallied>();

    /// <summary>So little goes into one call that hardly any work is done by one.</summary>
    public static Chunks SmallChunks { get; } = new()
    {
        SettledSegments = 2,
        LogSegments = 3,
        LogSegmentsPerPage = 5,
        LogBytes = 400,
        LogGap = 2,
        Pages = 2,
        Tips = 2,
        GatheredKeys = 2,
        PublishedEvents = 3,
        PublishedBytes = 250,
    };

    public EventStore Store { get; }

    public bool Killed { get; private set; }

    /// <summary>Ends only when the instance is stopped.</summary>
    public Task Running { get; private set; } = Task.CompletedTask;

    public void Start() => Running = Store.RunAsync();

    public void Kill() => Killed = true;

    /// <summary>Its own sidecar is away; the others' are not.</summary>
    public void CutOff(TimeSpan duration) => _cutOffUntil = _world.GetUtcNow() + duration;

    public void Pause(TimeSpan duration) => _pausedUntil = _world.GetUtcNow() + duration;

    /// <summary>A killed instance goes no further, a paused one only later.</summary>
    public async Task RunningAsync()
    {
        while (_pausedUntil > _world.GetUtcNow())
        {
            // Task.Delay cuts fractions of a millisecond off.
            await Task.Delay(_pausedUntil - _world.GetUtcNow() + TimeSpan.FromMilliseconds(1), _world);
        }

        if (Killed)
        {
            await _never.Task;
        }
    }

    public Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken) => CallAsync(() => _batches, cancellationToken);

    public Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) => CallAsync(() => _store.Get(key), cancellationToken);

    public Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        // One statement on stores with transactions; elsewhere each key at a moment of its own, here: some of them when the call begins.
        var early = _store.Kind is StoreClass.Redis or StoreClass.Separate
            ? keys.Where(_ => _world.Chance(0.3)).Distinct().ToDictionary(key => key, _store.Get)
            : [];
        return CallAsync<IReadOnlyList<StateValue?>>(
            () => [.. keys.Select(key => early.GetValueOrDefault(key) ?? _store.Get(key))], cancellationToken);
    }

    public async Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken)
    {
        try
        {
            return await CallAsync(() => _store.TrySave(write), cancellationToken, _faults.ReadOnlyUntil);
        }
        catch (StoreFault) when (_store.Kind == StoreClass.Redis && write.ETag is not null)
        {
            // daprd's redis store calls every failure of a write with a tag a mismatch, a lost answer too.
            return false;
        }
    }

    public async Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        if (_batches == BatchWrites.Atomic)
        {
            await CallAsync(() => _store.Transact(writes), cancellationToken, _faults.ReadOnlyUntil);
            return;
        }

        // One call of the sidecar, which makes a call of the store for each of them, all at once.
        var written = await Task.WhenAll(writes.Select(write => TrySaveAsync(write, cancellationToken)));

        // Under a retry policy daprd may forget which of them were refused.
        if (written.Contains(false) && !_world.Chance(_faults.ForgetRefusals))
        {
            throw new StoreFault("one of the writes was refused");
        }
    }

    public async Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken)
    {
        // A failure may leave some of them with the broker.
        var some = _world.Chance(_faults.FailAfter) ? events.Take(_world.Random.Next(events.Count)).ToArray() : null;
        await CallAsync(
            () =>
            {
                RecordedEvent[] taken = [.. (some ?? events).Where(e => !_faults.Refuses(e))];
                _published.AddRange(taken);
                return taken.Length == events.Count ? true : throw new StoreFault("not all were published");
            },
            cancellationToken,
            _faults.BrokerDownUntil);
    }

    public Task<IReadOnlyList<RecordedEvent>> ReadAsync(
        string publisher, string stream, long after, int limit, CancellationToken cancellationToken) =>
        Store.ReadStreamAsync(stream, after, limit, cancellationToken);

    private async Task<T> CallAsync<T>(Func<T> effect, CancellationToken cancellationToken, DateTimeOffset downUntil = default)
    {
        await RunningAsync();
        await _world.DelayAsync(5);
        var fate = _world.Random.NextDouble();
        if ((fate -= _faults.FailBefore) < 0 || Later(Later(_faults.DownUntil, _cutOffUntil), downUntil) > _world.GetUtcNow())
        {
            await RunningAsync();
            throw new StoreFault("failed before its effect");
        }

        if ((fate -= _faults.FailAfter) < 0)
        {
            effect();
            await RunningAsync();
            throw new StoreFault("failed after its effect");
        }

        if ((fate -= _faults.NeverAnswer) < 0)
        {
            if (_world.Chance(0.5))
            {
                effect();
            }

            await Task.Delay(Timeout.InfiniteTimeSpan, _world, cancellationToken);
        }

        if ((fate -= _faults.LandLate) < 0)
        {
            _ = LandLateAsync(effect);
            await Task.Delay(Timeout.InfiniteTimeSpan, _world, cancellationToken);
        }

        if ((fate -= _faults.LandSoon) < 0)
        {
            _ = LandLateAsync(effect, 20);
            throw new StoreFault("failed before its effect");
        }

        var result = effect();
        if (fate - _faults.LandTwice < 0)
        {
            _ = LandLateAsync(effect);
        }

        await _world.DelayAsync(5);
        await RunningAsync();

        // A process that was paused may see the answer first, or its own timeout.
        if (_world.Chance(0.5))
        {
            cancellationToken.ThrowIfCancellationRequested();
        }

        return result;
    }

    private static DateTimeOffset Later(DateTimeOffset one, DateTimeOffset other) => one > other ? one : other;

    private async Task LandLateAsync<T>(Func<T> effect, double withinMilliseconds = 30_000)
    {
        await _world.DelayAsync(withinMilliseconds);
        try
        {
            effect();
        }
        catch (StoreFault)
        {
            // Refused, and nobody is there any more to be told.
        }
    }

    /// <summary>The clock of a machine that does not show the time of the others.</summary>
    private sealed class ClockAhead(World world, TimeSpan ahead) : TimeProvider
    {
        public override long TimestampFrequency => world.TimestampFrequency;

        public override long GetTimestamp() => world.GetTimestamp();

        public override DateTimeOffset GetUtcNow() => world.GetUtcNow() + ahead;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            world.CreateTimer(callback, state, dueTime, period);
    }
}

/// <summary>
/// What commands make; the marker says which command made it and as the how manieth, and on which state it was decided.
/// </summary>
internal sealed record Marked(string Command, int Part, int Parts, long SawCount = 0, long SawDigest = 0);

/// <summary>A state that depends on every event and on their order.</summary>
internal sealed record Marks(long Count, long Digest)
{
    public static Marks None { get; } = new(0, 17);

    public static Marks After(Marks state, Marked marked) => new(
        state.Count + 1, unchecked((state.Digest * 31) + marked.Command.Sum(c => (long)c) + marked.Part));
}

/// <summary>What a consumer makes of an event of a source stream.</summary>
internal sealed record Tallied(string Source, long Version);
