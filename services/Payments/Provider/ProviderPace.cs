using DaprOrders.EventSourcing;
using Microsoft.Extensions.Options;

namespace DaprOrders.Payments.Provider;

/// <summary>
/// How many calls the provider gets at once. While it fails it gets one now and then, to find out whether it is back; when it is, one after the
/// other at first, and with every answer one more at a time: whoever comes back from an outage does not meet all that has waited for it.
/// </summary>
public sealed class ProviderPace(IOptions<PaymentsOptions> options, TimeProvider time, ILogger<ProviderPace> logger)
{
    /// <summary>Single failures are the fault of single payments.</summary>
    private const int FailuresUntilAway = 5;

    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1);

    private readonly Lock _lock = new();
    private int _atOnce = options.Value.MostAtOnce;
    private int _inside;
    private int _failuresInRow;
    private bool _isAway;
    private TimeSpan _pause;
    private long _pausedSince;
    private long _answers;
    private readonly Wakeup _changed = new();

    public bool IsAway
    {
        get
        {
            lock (_lock)
            {
                return _isAway;
            }
        }
    }

    /// <summary>Counts up with every answer: who failed between two equal numbers may have failed for everybody's reason.</summary>
    public long Answers => Interlocked.Read(ref _answers);

    /// <summary>Waits until one more may call; <see cref="Leave"/> ends it. For one waiter at a time.</summary>
    public async Task EnterAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            TimeSpan wait;
            lock (_lock)
            {
                if (MayEnter(out wait))
                {
                    _inside++;
                    return;
                }
            }

            await _changed.WaitAsync(wait, time, cancellationToken);
        }
    }

    public void Leave()
    {
        lock (_lock)
        {
            _inside--;
            _changed.Set();
        }
    }

    /// <summary>The provider answered, whatever it said.</summary>
    public void Answered()
    {
        lock (_lock)
        {
            Interlocked.Increment(ref _answers);
            _failuresInRow = 0;
            _atOnce = _isAway ? 1 : Math.Min(_atOnce + 1, options.Value.MostAtOnce);
            if (_isAway)
            {
                _isAway = false;
                logger.LogInformation("The payment provider answers again");
            }

            _changed.Set();
        }
    }

    /// <summary>The provider did not answer, or only that it cannot.</summary>
    public void Failed(string error)
    {
        lock (_lock)
        {
            _failuresInRow++;
            if (!_isAway && _failuresInRow < FailuresUntilAway)
            {
                return;
            }

            if (!_isAway)
            {
                logger.LogWarning("The payment provider is away: payments wait, and it is asked now and then whether it is back. {Error}", error);
            }

            // Those that were on their way when it went away say nothing new.
            _pause = !_isAway ? Shorter(options.Value.ProviderBackoff, options.Value.ProbeEvery)
                : _inside <= 1 ? Shorter(_pause * 2, options.Value.ProbeEvery)
                : _pause;
            _isAway = true;
            _pausedSince = time.GetTimestamp();
            _changed.Set();
        }
    }

    /// <param name="wait">Otherwise, after how long to look again if nothing changes before.</param>
    private bool MayEnter(out TimeSpan wait)
    {
        wait = Timeout.InfiniteTimeSpan;
        if (!_isAway)
        {
            return _inside < _atOnce;
        }

        if (_inside > 0)
        {
            return false;
        }

        var left = _pause - time.GetElapsedTime(_pausedSince);
        wait = left > Shortest ? left : Shortest;
        return left <= TimeSpan.Zero;
    }

    private static TimeSpan Shorter(TimeSpan left, TimeSpan right) => left < right ? left : right;
}
