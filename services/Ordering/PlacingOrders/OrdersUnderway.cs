using DaprOrders.Contracts;
using Microsoft.Extensions.Options;

namespace DaprOrders.Ordering.PlacingOrders;

/// <summary>
/// How far the flow is behind: the orders that this replica accepted and that have come neither to their payment nor to a rejection, and those that are
/// paid and that Shipping has not begun with. What waits for the payment provider, or for somebody who packs, does not count, since that can take long
/// without anybody being behind. An estimate, since other replicas may be the ones that hear of an order: those it does hear of tell how far the others are.
/// </summary>
public sealed class OrdersUnderway(IOptions<OrderingOptions> options, TimeProvider time)
{
    private readonly int _most = options.Value.MostOrdersUnderway;
    private readonly Lock _gate = new();
    private readonly Leg _toPayment = new(time);
    private readonly Leg _toShipment = new(time);

    public bool AreTooMany()
    {
        lock (_gate)
        {
            return _most > 0 && _toPayment.Count() + _toShipment.Count() >= _most;
        }
    }

    /// <summary>
    /// Before the order is written, so that as many as come at once find no more room than there is, and one whose outcome its caller did not wait for is
    /// counted, too.
    /// </summary>
    /// <returns>False: there are too many.</returns>
    public bool TryEnter(string orderId)
    {
        lock (_gate)
        {
            if (AreTooMany())
                return false;
            if (_most > 0)
                _toPayment.Begin(orderId);
            return true;
        }
    }

    /// <summary>An order is paid.</summary>
    public void Pay(string orderId)
    {
        lock (_gate)
        {
            if (_most > 0)
                _toShipment.Begin(orderId);
        }
    }

    /// <summary>It was not placed, or is cancelled.</summary>
    public void Leave(string orderId)
    {
        lock (_gate)
        {
            _toPayment.Leave(orderId);
            _toShipment.Leave(orderId);
        }
    }

    /// <summary>An event of an order from another service.</summary>
    public void See(object happened)
    {
        lock (_gate)
        {
            switch (happened)
            {
                case PaymentRequested requested:
                    _toPayment.End(requested.OrderId);
                    break;
                case StockRejected rejected:
                    _toPayment.End(rejected.OrderId);
                    break;
                case ShipmentEvent shipment:
                    // Requested, or dispatched at once.
                    _toShipment.End(shipment.OrderId);
                    break;
            }
        }
    }

    /// <summary>A part of an order's way: how many are on it.</summary>
    private sealed class Leg(TimeProvider time)
    {
        /// <summary>So many orders share in the estimate, that one which came late or by another way says little.</summary>
        private const int Smoothing = 32;

        /// <summary>Whose way takes so many times longer than that of the last one heard of has lost something, or another replica heard of it.</summary>
        private const int Patience = 4;

        private static readonly TimeSpan LeastPatience = TimeSpan.FromMinutes(1);

        private readonly Dictionary<string, (long Number, long At)> _orders = [];
        private readonly Queue<(string OrderId, long Number, long At)> _known = new();
        private long _begun;
        private double _reached;
        private TimeSpan _took;

        public double Count()
        {
            Forget();
            // The estimate trails behind; there are never more than those not heard of.
            return Math.Min(_begun - _reached, _orders.Count);
        }

        public void Begin(string orderId)
        {
            Forget();
            var now = time.GetTimestamp();
            if (_orders.TryAdd(orderId, (_begun + 1, now)))
                _known.Enqueue((orderId, ++_begun, now));
        }

        public void End(string orderId)
        {
            if (!_orders.Remove(orderId, out var order))
                return;
            _reached += (order.Number - _reached) / Math.Min(Smoothing, order.Number);
            _took = time.GetElapsedTime(order.At);
        }

        public void Leave(string orderId) => _orders.Remove(orderId);

        /// <summary>Those before the estimate, and those of long ago, which count as reached.</summary>
        private void Forget()
        {
            var longest = Patience * _took;
            if (longest < LeastPatience)
                longest = LeastPatience;
            while (_known.TryPeek(out var oldest) && (oldest.Number <= _reached - Smoothing || time.GetElapsedTime(oldest.At) > longest))
            {
                _known.Dequeue();
                if (_orders.TryGetValue(oldest.OrderId, out var order) && order.Number == oldest.Number)
                    _orders.Remove(oldest.OrderId);
                _reached = Math.Max(_reached, oldest.Number);
            }
        }
    }
}
