using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Overview;

/// <summary>Orders of half a minute.</summary>
public sealed record FlowBucket(DateTimeOffset From, int Placed, int Shipped, int Cancelled);

/// <param name="KnownFrom">Null: every order of the window is counted. Else what happened before is not.</param>
public sealed record Flow(
    IReadOnlyList<FlowBucket> Buckets, double PlacedPerSecond, double ShippedPerSecond, TimeSpan? HalfShippedWithin, TimeSpan? MostShippedWithin, DateTimeOffset? KnownFrom);

/// <summary>What went in and out within the last fifteen minutes, from the orders that were read; each counts once, as it was read last.</summary>
public sealed class FlowWindow
{
    public const int Buckets = 30;

    public static readonly TimeSpan BucketLength = TimeSpan.FromSeconds(30);
    public static readonly TimeSpan Length = BucketLength * Buckets;

    private static readonly TimeSpan Now = TimeSpan.FromMinutes(1);

    private readonly Dictionary<string, ListedOrder> _orders = [];

    /// <summary>Null: every order of the window is known. Else what happened before is not.</summary>
    public DateTimeOffset? KnownFrom { get; private set; }

    /// <param name="isAll">There are no older ones.</param>
    public void Take(IReadOnlyCollection<ListedOrder> newest, bool isAll, DateTimeOffset now)
    {
        foreach (var order in newest)
            _orders[order.OrderId] = order;
        foreach (var gone in _orders.Values.Where(order => order.UpdatedAt < now - Length).ToList())
            _orders.Remove(gone.OrderId);
        var oldest = newest.Count == 0 ? now : newest.Min(order => order.CreatedAt);
        KnownFrom = isAll || oldest <= now - Length || KnownFrom <= now - Length ? null : KnownFrom is { } known && known < oldest ? known : oldest;
    }

    public Flow Read(DateTimeOffset now) => new(ReadBuckets(now), PlacedPerSecond(now), ShippedPerSecond(now), ToShipped(50), ToShipped(95), KnownFrom);

    private IReadOnlyList<FlowBucket> ReadBuckets(DateTimeOffset now)
    {
        var first = now.UtcTicks / BucketLength.Ticks - Buckets + 1;
        var counts = new (int Placed, int Shipped, int Cancelled)[Buckets];
        foreach (var order in _orders.Values)
        {
            if (At(order.CreatedAt) is { } placed)
                counts[placed].Placed++;
            if (EndOf(order) is { } end && At(end) is { } ended)
            {
                if (order.Status == "shipped")
                    counts[ended].Shipped++;
                else
                    counts[ended].Cancelled++;
            }
        }

        return [.. counts.Select((count, i) => new FlowBucket(new DateTimeOffset((first + i) * BucketLength.Ticks, TimeSpan.Zero), count.Placed, count.Shipped, count.Cancelled))];

        int? At(DateTimeOffset at) => at.UtcTicks / BucketLength.Ticks - first is >= 0 and < Buckets and var bucket ? (int)bucket : null;
    }

    /// <summary>A second's share of the last minute.</summary>
    private double PlacedPerSecond(DateTimeOffset now) => _orders.Values.Count(order => order.CreatedAt > now - Now) / Now.TotalSeconds;

    private double ShippedPerSecond(DateTimeOffset now) =>
        _orders.Values.Count(order => order.Status == "shipped" && EndOf(order) > now - Now) / Now.TotalSeconds;

    /// <summary>From the POST until it was shipped: what so many of a hundred orders did not exceed. Null: none was shipped.</summary>
    private TimeSpan? ToShipped(int percent)
    {
        var times = _orders.Values.Where(order => order.Status == "shipped").Select(order => EndOf(order)!.Value - order.CreatedAt).Order().ToList();
        return times.Count == 0 ? null : times[(int)Math.Ceiling(times.Count * percent / 100.0) - 1];
    }

    private static DateTimeOffset? EndOf(ListedOrder order) => order.Status is "shipped" or "cancelled" ? order.History[^1].At : null;
}
