using DaprOrders.Contracts;
using Microsoft.Extensions.Options;

namespace DaprOrders.Ordering.PlacingOrders;

/// <summary>
/// How far the flow is behind: the orders that this replica accepted and that have come neither to their payment nor to a rejection. What waits for
/// the payment provider does not count, since that can take long without anybody being behind. An estimate, since other replicas may be the
/// ones that hear of an order: those it does hear of tell how far the others are.
/// </summary>
public sealed class OrdersUnderway(IOptions<OrderingOptions> options, TimeProvider time)
{
    /// <summary>So many orders share in the estimate, that one which came late or by another way says little.</summary>
    private const int Smoothing = 32;

    /// <summary>Whose way took longer has lost something, or another replica heard of it.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromMinutes(1);

    private readonly int _most = options.Value.MostOrdersUnderway;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, long> _numbers = [];
    private readonly Queue<(string OrderId, long Number, long At)> _known = new();
    private long _accepted;
    private double _reached;

    public bool AreTooMany()
    {
        lock (_gate)
        {
            Forget();
            // The estimate trails behind; there are never more than those not heard of.
            return _most > 0 && Math.Min(_accepted - _reached, _numbers.Count) >= _most;
        }
    }

    /// <summary>An order is durable.</summary>
    public void Accept(string orderId)
    {
        lock (_gate)
        {
            _numbers[orderId] = ++_accepted;
            _known.Enqueue((orderId, _accepted, time.GetTimestamp()));
        }
    }

    /// <summary>An event of an order from another service.</summary>
    public void See(object happened)
    {
        var orderId = happened switch
        {
            PaymentRequested requested => requested.OrderId,
            StockRejected rejected => rejected.OrderId,
            _ => null,
        };
        if (orderId is null)
            return;

        lock (_gate)
        {
            if (_numbers.Remove(orderId, out var number))
                _reached += (number - _reached) / Math.Min(Smoothing, number);
        }
    }

    /// <summary>Those before the estimate, and those of long ago, which count as reached.</summary>
    private void Forget()
    {
        while (_known.TryPeek(out var oldest) && (oldest.Number <= _reached - Smoothing || time.GetElapsedTime(oldest.At) > Longest))
        {
            _known.Dequeue();
            _numbers.Remove(oldest.OrderId);
            _reached = Math.Max(_reached, oldest.Number);
        }
    }
}
