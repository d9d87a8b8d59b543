using EmbeddedSidecar.Expressions;
using EmbeddedSidecar.Resources;
using Polly;

namespace EmbeddedSidecar.Resiliency;

/// <summary>The breaker refused the attempt. Never retried; the texts are daprd's.</summary>
internal sealed class CircuitBreakerOpenException(string message) : Exception(message);

/// <summary>
/// Counts as daprd's breaker does, so that a trip expression means the same: in the closed state the counts start anew every
/// interval, and the expression is asked at each failure; open for the timeout; then up to maxRequests trials at once decide.
/// </summary>
/// <param name="changed">Hears of each change, from which state to which, in daprd's words for them.</param>
internal sealed class CircuitBreaker(CircuitBreakerPolicy policy, CelExpression trip, TimeProvider time, Action<string, string>? changed = null)
{
    /// <summary>Timers here are up to some milliseconds early. A retry that waits as long as the breaker is open is to meet it half-open, as in daprd, and not to be the last.</summary>
    private static readonly TimeSpan EarlyTimer = TimeSpan.FromMilliseconds(20);

    private readonly Lock _lock = new();
    private readonly TimeSpan _openFor = policy.Timeout > TimeSpan.Zero ? policy.Timeout : TimeSpan.FromSeconds(60);
    private readonly int _maxTrials = Math.Max(1, policy.MaxRequests);
    private State _state = State.Closed;
    private long _generation;
    private DateTimeOffset _expiry = policy.Interval > TimeSpan.Zero ? time.GetUtcNow() + policy.Interval : DateTimeOffset.MaxValue;
    private Counts _counts;

    private enum State
    {
        Closed,
        Open,
        HalfOpen,
    }

    /// <summary>What an expression may ask for.</summary>
    public const string Known = "It knows requests, totalSuccesses, totalFailures, consecutiveSuccesses and consecutiveFailures";

    /// <summary>Null where an expression can be evaluated.</summary>
    public static string? WhyItNeverTrips(CelExpression trip)
    {
        try
        {
            trip.Matches(Variables(new() { Requests = 1, TotalSuccesses = 1, TotalFailures = 1, ConsecutiveSuccesses = 1, ConsecutiveFailures = 1 }));
            return null;
        }
        catch (CelException error)
        {
            return error.Message;
        }
    }

    /// <summary>Asks to make an attempt; its answer goes to <see cref="Report"/>.</summary>
    /// <exception cref="CircuitBreakerOpenException">Not now.</exception>
    public long Enter()
    {
        lock (_lock)
        {
            Advance();
            if (_state == State.Open)
                throw new CircuitBreakerOpenException("circuit breaker is open");
            if (_state == State.HalfOpen && _counts.Requests >= _maxTrials)
                throw new CircuitBreakerOpenException("too many requests");

            _counts.Requests++;
            return _generation;
        }
    }

    public void Report(long generation, bool failed)
    {
        lock (_lock)
        {
            Advance();
            if (generation != _generation)
                return;

            if (failed)
                Failed();
            else
                Succeeded();
        }
    }

    private void Succeeded()
    {
        _counts.TotalSuccesses++;
        _counts.ConsecutiveSuccesses++;
        _counts.ConsecutiveFailures = 0;
        if (_state == State.HalfOpen && _counts.ConsecutiveSuccesses >= _maxTrials)
            Become(State.Closed);
    }

    private void Failed()
    {
        _counts.TotalFailures++;
        _counts.ConsecutiveFailures++;
        _counts.ConsecutiveSuccesses = 0;
        if (_state == State.HalfOpen || Trips())
            Become(State.Open);
    }

    private bool Trips()
    {
        try
        {
            return trip.Matches(Variables(_counts));
        }
        catch (CelException)
        {
            // As in daprd: what cannot be evaluated does not trip, which was told of its file.
            return false;
        }
    }

    private static Dictionary<string, object?> Variables(Counts counts) => new()
    {
        ["requests"] = counts.Requests,
        ["totalSuccesses"] = counts.TotalSuccesses,
        ["totalFailures"] = counts.TotalFailures,
        ["consecutiveSuccesses"] = counts.ConsecutiveSuccesses,
        ["consecutiveFailures"] = counts.ConsecutiveFailures,
    };

    private void Advance()
    {
        var early = _state == State.Open ? TimeSpan.FromTicks(Math.Min(EarlyTimer.Ticks, _openFor.Ticks / 2)) : TimeSpan.Zero;
        if (time.GetUtcNow() < _expiry - early)
            return;

        Become(_state == State.Open ? State.HalfOpen : State.Closed);
    }

    private void Become(State state)
    {
        if (state != _state)
            changed?.Invoke(Word(_state), Word(state));
        _state = state;
        _generation++;
        _counts = default;
        _expiry = state switch
        {
            State.Open => time.GetUtcNow() + _openFor,
            State.Closed when policy.Interval > TimeSpan.Zero => time.GetUtcNow() + policy.Interval,
            _ => DateTimeOffset.MaxValue,
        };
    }

    private static string Word(State state) => state switch
    {
        State.Closed => "closed",
        State.Open => "open",
        _ => "half-open",
    };

    private struct Counts
    {
        public long Requests;
        public long TotalSuccesses;
        public long TotalFailures;
        public long ConsecutiveSuccesses;
        public long ConsecutiveFailures;
    }
}

/// <summary>Puts a <see cref="CircuitBreaker"/> into a Polly pipeline.</summary>
internal sealed class CircuitBreakerStrategy(CircuitBreaker breaker) : ResilienceStrategy
{
    protected override async ValueTask<Outcome<TResult>> ExecuteCore<TResult, TState>(
        Func<ResilienceContext, TState, ValueTask<Outcome<TResult>>> callback,
        ResilienceContext context,
        TState state)
    {
        long generation;
        try
        {
            generation = breaker.Enter();
        }
        catch (CircuitBreakerOpenException refused)
        {
            return Outcome.FromException<TResult>(refused);
        }

        var outcome = await callback(context, state);
        breaker.Report(generation, AttemptResult.Of(outcome.Exception, outcome.Result, context).Failed);
        return outcome;
    }
}
