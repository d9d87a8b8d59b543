using System.Diagnostics.Metrics;
using DaprOrders.EventSourcing;
using DaprOrders.Payments.Payments;
using DaprOrders.Payments.Provider;
using Microsoft.Extensions.Options;

namespace DaprOrders.Payments.SettlingPayments;

/// <summary>
/// The payments that owe a call to the provider, as far as this process has them at hand: those that just came, and the oldest of those that wait
/// in the event log. The one that has waited longest comes first; one that failed comes later. What is forgotten here is found in the log again.
/// </summary>
public sealed class OpenPayments
{
    /// <summary>Of what just came; beyond it the log is enough.</summary>
    private const int MostAtHand = 10_000;

    /// <summary>So often a payment fails while the provider answers others, before it must not hold them up any more.</summary>
    private const int FailuresUntilOdd = 3;

    private const int MostRemembered = 20_000;

    private static readonly Meter Meter = new("DaprOrders.Payments");

    private readonly Lock _lock = new();
    private readonly Dictionary<string, OpenPayment> _open = [];
    private readonly PriorityQueue<OpenPayment, (DateTimeOffset Since, long Number)> _ready = new();
    private readonly PriorityQueue<OpenPayment, long> _later = new();
    private readonly ProviderPace _pace;
    private readonly PaymentsOptions _options;
    private readonly TimeProvider _time;
    private Dictionary<string, long> _settledLately = [];
    private Dictionary<string, long> _settledBefore = [];
    private readonly Wakeup _changed = new();
    private long _number;
    private bool _wasAway;

    public OpenPayments(ProviderPace pace, IOptions<PaymentsOptions> options, TimeProvider time)
    {
        (_pace, _options, _time) = (pace, options.Value, time);
        Meter.CreateObservableGauge("payments.open", () => _open.Count, "{payment}", "Payments at hand that owe a call to the provider; while it is away more wait in the event log.");
    }

    /// <summary>Whether older payments wait in the log than are at hand: then those that just came have to wait behind them.</summary>
    public bool IsBehind { get; set; }

    /// <summary>A payment that just came to owe a call: taken at once, unless others have waited longer.</summary>
    public void AddNew(string orderId, StreamState<Payment> payment)
    {
        if (!IsBehind && !_pace.IsAway)
        {
            Add(orderId, payment.UpdatedAt.GetValueOrDefault(), MostAtHand, payment);
        }
    }

    /// <summary>A payment that waits in the log.</summary>
    public void Add(string orderId, DateTimeOffset since) => Add(orderId, since, int.MaxValue, known: null);

    /// <summary>Null once it owes nothing any more, or was set aside.</summary>
    public OpenPayment? Find(string orderId)
    {
        lock (_lock)
        {
            return _open.GetValueOrDefault(orderId);
        }
    }

    /// <summary>Whether this process saw that the payment owes nothing at this version of its stream; it may have seen it and forgotten.</summary>
    public bool IsSettled(string orderId, long version)
    {
        lock (_lock)
        {
            return Math.Max(_settledLately.GetValueOrDefault(orderId), _settledBefore.GetValueOrDefault(orderId)) >= version;
        }
    }

    /// <summary>The store went back in time: what was seen of it may be undone.</summary>
    public void ForgetSettled()
    {
        lock (_lock)
        {
            (_settledLately, _settledBefore) = ([], []);
            foreach (var payment in _open.Values)
            {
                payment.Known = null;
            }
        }
    }

    /// <summary>Noted elsewhere: it is no longer at hand here. False while somebody is at it.</summary>
    public bool TrySetAside(OpenPayment payment)
    {
        lock (_lock)
        {
            return !payment.IsAtWork && _open.Remove(payment.OrderId);
        }
    }

    /// <summary>Waits until a payment can be taken. For one waiter.</summary>
    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var wait = Timeout.InfiniteTimeSpan;
            lock (_lock)
            {
                if (TryPeek())
                {
                    return;
                }

                if (_later.TryPeek(out _, out var due))
                {
                    wait = Later(due);
                }
            }

            await _changed.WaitAsync(wait, _time, cancellationToken);
        }
    }

    /// <summary>The one that has waited longest. <see cref="Settled"/> or <see cref="Failed"/> gives it back.</summary>
    public OpenPayment? TryTake()
    {
        lock (_lock)
        {
            if (!TryPeek())
            {
                return null;
            }

            var payment = _ready.Dequeue();
            (payment.IsAtWork, payment.AnswersBefore) = (true, _pace.Answers);
            return payment;
        }
    }

    public void Settled(OpenPayment payment, long version)
    {
        lock (_lock)
        {
            payment.IsAtWork = false;
            if (_wasAway)
            {
                _changed.Set();
            }

            if (payment.HasChanged)
            {
                (payment.HasChanged, payment.Known) = (false, null);
                Enqueue(payment);
                return;
            }

            _open.Remove(payment.OrderId);
            if (_settledLately.Count >= MostRemembered)
            {
                (_settledBefore, _settledLately) = (_settledLately, []);
            }

            _settledLately[payment.OrderId] = version;
        }
    }

    public void Failed(OpenPayment payment)
    {
        lock (_lock)
        {
            (payment.IsAtWork, payment.HasChanged, payment.Known) = (false, false, null);
            // While nobody is answered, it is not this payment's fault.
            if (_pace.Answers != payment.AnswersBefore)
            {
                payment.Failures++;
            }

            payment.IsOdd = payment.Failures >= FailuresUntilOdd;
            // In the end longer than the provider is left alone: each look whether it is back is made with another payment.
            var wait = Math.Min(2 * _options.ProbeEvery.TotalSeconds, _options.ProviderBackoff.TotalSeconds * Math.Pow(2, Math.Min(++payment.Tries, 30)));
            _later.Enqueue(payment, _time.GetTimestamp() + (long)(wait * _time.TimestampFrequency));
            _changed.Set();
        }
    }

    private void Add(string orderId, DateTimeOffset since, int most, StreamState<Payment>? known)
    {
        lock (_lock)
        {
            if (_open.TryGetValue(orderId, out var payment))
            {
                payment.HasChanged |= payment.IsAtWork;
                payment.Known = null;
            }
            else if (_open.Count < most)
            {
                Enqueue(_open[orderId] = new OpenPayment(orderId, since) { Known = known });
            }
        }
    }

    private void Enqueue(OpenPayment payment)
    {
        _ready.Enqueue(payment, (payment.Since, _number++));
        _changed.Set();
    }

    private bool TryPeek()
    {
        // Back again: who failed for everybody's reason waits no longer.
        var isAway = _pace.IsAway;
        var now = _wasAway && !isAway ? long.MaxValue : _time.GetTimestamp();
        _wasAway = isAway;
        while (_later.TryPeek(out var payment, out var due) && due <= now)
        {
            _later.Dequeue();
            _ready.Enqueue(payment, (payment.Since, _number++));
        }

        while (_ready.TryPeek(out var first, out _) && !ReferenceEquals(_open.GetValueOrDefault(first.OrderId), first))
        {
            _ready.Dequeue();
        }

        return _ready.Count > 0;
    }

    private TimeSpan Later(long due)
    {
        var wait = _time.GetElapsedTime(_time.GetTimestamp(), due);
        return wait > TimeSpan.FromMilliseconds(1) ? wait : TimeSpan.FromMilliseconds(1);
    }
}

/// <param name="Since">When it came to owe the call.</param>
public sealed record OpenPayment(string OrderId, DateTimeOffset Since)
{
    /// <summary>It failed again and again while the provider answered others: it must not hold them up.</summary>
    public bool IsOdd { get; internal set; }

    /// <summary>As it was when it came to owe the call; null where that is to be read.</summary>
    internal StreamState<Payment>? Known { get; set; }

    internal bool IsAtWork { get; set; }

    /// <summary>Something was appended to it while somebody was at it: it is looked at once more.</summary>
    internal bool HasChanged { get; set; }

    internal int Tries { get; set; }

    internal int Failures { get; set; }

    internal long AnswersBefore { get; set; }
}
