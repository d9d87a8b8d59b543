using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Overview;

/// <summary>Orders of half a minute.</summary>
public sealed record FlowBucket(DateTimeOffset From, int Placed, int Shipped, int Cancelled);

/// <param name="PlacedPerSecond">Null, as with the other figures: too few orders were read to know it.</param>
/// <param name="KnownFrom">Null: every order of the window is counted. Else what happened before is not.</param>
/// <param name="IsCaughtUp">False: orders that were not read again may have been shipped meanwhile.</param>
public sealed record Flow(
    IReadOnlyList<FlowBucket> Buckets, double? PlacedPerSecond, double? ShippedPerSecond, TimeSpan? HalfShippedWithin, TimeSpan? MostShippedWithin, DateTimeOffset? KnownFrom, bool IsCaughtUp);

/// <summary>What went in and out within the last fifteen minutes, from the orders that were read; each counts once, as it was read last.</summary>
public sealed class FlowWindow
{
    public const int Buckets = 30;

    /// <summary>One of so many orders of the page that reaches furthest back may be stuck: it changes no figure.</summary>
    private const int StuckAmong = 20;

    public static readonly TimeSpan BucketLength = TimeSpan.FromSeconds(30);
    public static readonly TimeSpan Length = BucketLength * Buckets;

    private static readonly TimeSpan Now = TimeSpan.FromMinutes(1);

    private static readonly TimeSpan UsualSkew = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, ListedOrder> _orders = [];

    /// <summary>The orders that are taken now, and those that were last time: where the two do not meet, orders are missing in between.</summary>
    private (HashSet<string> Now, HashSet<string> Before) _taken = ([], []);

    /// <summary>From when on every order is known, now and last time.</summary>
    private (DateTimeOffset Now, DateTimeOffset Before) _known;

    /// <summary>Null: every order of the window is known. Else what happened before is not.</summary>
    public DateTimeOffset? KnownFrom => _known.Now == default ? null : _known.Now;

    /// <summary>False: older orders than those that were taken last are under way, too.</summary>
    public bool IsCaughtUp { get; private set; } = true;

    private IEnumerable<ListedOrder> Counted => _orders.Values.Where(order => order.CreatedAt >= _known.Now);

    /// <summary>Takes a page of the newest orders, or the one behind it.</summary>
    /// <param name="isAll">There are no older ones.</param>
    /// <param name="isBehind">It goes on where the page that was taken last ended.</param>
    public void Take(IReadOnlyCollection<ListedOrder> newest, bool isAll, DateTimeOffset now, bool isBehind = false)
    {
        if (!isBehind)
            (_taken, _known) = (([], _taken.Now), (DateTimeOffset.MaxValue, _known.Now));
        foreach (var order in newest)
        {
            _orders[order.OrderId] = order;
            _taken.Now.Add(order.OrderId);
        }

        foreach (var gone in _orders.Values.Where(order => order.UpdatedAt < now - Length).ToList())
            _orders.Remove(gone.OrderId);
        var oldest = newest.Count == 0 ? now : newest.Min(order => order.CreatedAt);
        var reachesBack = isAll || oldest <= now - Length;
        var joins = newest.Any(order => _taken.Before.Contains(order.OrderId));
        var from = new[] { _known.Now, oldest, joins ? _known.Before : oldest }.Min();
        _known.Now = reachesBack || from <= now - Length ? default : from;
        // In a backlog the orders that are read again, the newest, are all open; what becomes of those before them is not seen.
        var furthest = newest.Count == 0 ? now : newest.Max(order => order.CreatedAt);
        IsCaughtUp = reachesBack || Counted.Count(order => order.CreatedAt <= furthest && EndOf(order) is null) * StuckAmong <= newest.Count;
    }

    public Flow Read(DateTimeOffset now)
    {
        var isMinuteKnown = KnownFrom is null || KnownFrom <= now - Now;
        return new(
            ReadBuckets(now), isMinuteKnown ? PlacedPerSecond(now) : null, isMinuteKnown && IsCaughtUp ? ShippedPerSecond(now) : null,
            IsCaughtUp ? ToShipped(50) : null, IsCaughtUp ? ToShipped(95) : null, KnownFrom, IsCaughtUp);
    }

    private IReadOnlyList<FlowBucket> ReadBuckets(DateTimeOffset now)
    {
        var first = now.UtcTicks / BucketLength.Ticks - Buckets + 1;
        var counts = new (int Placed, int Shipped, int Cancelled)[Buckets];
        foreach (var order in Counted)
        {
            if (At(order.CreatedAt) is { } placed)
                counts[placed].Placed++;
            if (EndOf(order) is { } end && At(end) is { } ended)
            {
                if (order.Status == OrderStatuses.Shipped)
                    counts[ended].Shipped++;
                else
                    counts[ended].Cancelled++;
            }
        }

        return [.. counts.Select((count, i) => new FlowBucket(new DateTimeOffset((first + i) * BucketLength.Ticks, TimeSpan.Zero), count.Placed, count.Shipped, count.Cancelled))];

        int? At(DateTimeOffset at) => at.UtcTicks / BucketLength.Ticks - first is >= 0 and < Buckets and var bucket ? (int)bucket : null;
    }

    /// <summary>A second's share of the last minute.</summary>
    private double PlacedPerSecond(DateTimeOffset now) => Counted.Count(order => IsOfLastMinute(order.CreatedAt, now)) / Now.TotalSeconds;

    private double ShippedPerSecond(DateTimeOffset now) =>
        Counted.Count(order => order.Status == OrderStatuses.Shipped && EndOf(order) is { } end && IsOfLastMinute(end, now)) / Now.TotalSeconds;

    /// <summary>What a replica whose clock is minutes ahead has stamped is not of now.</summary>
    private static bool IsOfLastMinute(DateTimeOffset at, DateTimeOffset now) => at > now - Now && at < now + UsualSkew;

    /// <summary>From the POST until it was shipped: what so many of a hundred orders did not exceed. Null: none was shipped.</summary>
    private TimeSpan? ToShipped(int percent)
    {
        var times = Counted.Where(order => order.Status == OrderStatuses.Shipped).Select(order => EndOf(order)!.Value - order.CreatedAt).Order().ToList();
        return times.Count == 0 ? null : times[(int)Math.Ceiling(times.Count * percent / 100.0) - 1];
    }

    private static DateTimeOffset? EndOf(ListedOrder order) => OrderStatuses.IsOver(order.Status) ? order.History[^1].At : null;
}
