namespace DaprOrders.EventSourcing.Tests.Simulation;

/// <summary>
/// One thread, one clock, one seed: every continuation that is ready and every timer that is due is run in an order that the seed decides,
/// so a run can be repeated exactly. A busy processor makes continuations wait while the clock goes on.
/// </summary>
internal sealed class World : TimeProvider
{
    private static readonly DateTimeOffset Epoch = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    // How far the clock may go on while a continuation waits for the processor.
    private static readonly TimeSpan MostBusy = TimeSpan.FromMilliseconds(20);

    private readonly List<(SendOrPostCallback Callback, object? State)> _ready = [];
    private readonly PriorityQueue<SimulatedTimer, (long Due, long Order)> _timers = new();
    private readonly Context _context;
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private volatile bool _left;
    private long _now;
    private long _order;

    public World(int seed)
    {
        Random = new Random(seed);
        _context = new Context(this);
    }

    public Random Random { get; }

    /// <summary>How often a timer fires although continuations are ready.</summary>
    public double Busy { get; set; }

    public long Steps { get; private set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => _now;

    public override DateTimeOffset GetUtcNow() => Epoch.AddTicks(_now);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimulatedTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    public Task DelayAsync(double maxMilliseconds) => Task.Delay(TimeSpan.FromMilliseconds(Random.NextDouble() * maxMilliseconds), this);

    public bool Chance(double probability) => Random.NextDouble() < probability;

    /// <summary>Runs until <paramref name="main"/> is done.</summary>
    public void Run(Func<Task> main, long maxSteps)
    {
        var former = SynchronizationContext.Current;
        SynchronizationContext.SetSynchronizationContext(_context);
        try
        {
            var done = main();
            while (!done.IsCompleted)
            {
                if (_left)
                {
                    throw new SimulationException("Something went on in another thread, so the seed no longer decides what happens when.");
                }

                if (++Steps > maxSteps)
                {
                    throw new SimulationException($"Not done after {maxSteps} steps, at {TimeSpan.FromTicks(_now)}: it runs in circles.");
                }

                Step();
            }

            done.GetAwaiter().GetResult();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(former);
        }
    }

    private void Step()
    {
        if (_ready.Count > 0 && !(Busy > 0 && Chance(Busy) && _timers.TryPeek(out _, out var next) && next.Due <= _now + MostBusy.Ticks))
        {
            var chosen = Random.Next(_ready.Count);
            var (callback, state) = _ready[chosen];
            _ready[chosen] = _ready[^1];
            _ready.RemoveAt(_ready.Count - 1);
            callback(state);
            return;
        }

        if (!_timers.TryDequeue(out var timer, out var due))
        {
            throw new SimulationException("Nothing is ready and no timer is set: it waits for what will never come.");
        }

        _now = Math.Max(_now, due.Due);
        timer.Fire(due.Order);
    }

    private sealed class Context(World world) : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
            if (Environment.CurrentManagedThreadId == world._thread)
            {
                world._ready.Add((d, state));
            }
            else
            {
                world._left = true;
            }
        }

        public override SynchronizationContext CreateCopy() => this;
    }

    private sealed class SimulatedTimer(World world, TimerCallback callback, object? state) : ITimer
    {
        private long _current = -1;
        private TimeSpan _period;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _period = period;
            _current = -1;
            if (dueTime != Timeout.InfiniteTimeSpan)
            {
                _current = ++world._order;
                world._timers.Enqueue(this, (world._now + dueTime.Ticks, _current));
            }

            return true;
        }

        public void Fire(long order)
        {
            if (order != _current)
            {
                return;
            }

            Change(_period > TimeSpan.Zero ? _period : Timeout.InfiniteTimeSpan, _period);
            callback(state);
        }

        public void Dispose() => _current = -1;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}

/// <summary>The run itself went wrong: it does not end, or is no longer under the seed's control.</summary>
internal sealed class SimulationException(string message) : Exception(message);
