using System.Globalization;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.Reporting.Orders;

namespace DaprOrders.Reporting.Sales;

/// <summary>A lane of a publisher's event log.</summary>
internal sealed record Lane(string Publisher, string Name);

/// <summary>What a lane holds between two positions: how many events, and what they change.</summary>
internal sealed record LaneMove(Lane Lane, long From, long To, long Events, SalesChange Change);

/// <summary>
/// What was sold, by one version of the read models: counted for each lane by itself, and summed when it is read. A lane's tally has the
/// position up to which the lane is read. Days and products would outgrow it, so they are kept by month and by a hash of the SKU, each
/// part with a position of its own: whatever was written before a crash is not counted again.
/// </summary>
internal sealed class SalesFigures(Documents documents, long version)
{
    /// <summary>Parts over which a lane's products are spread. Fixed: it is in the keys.</summary>
    private const int ProductParts = 64;

    private string LanesKey => $"v{version}|lanes";

    public async Task<IReadOnlyList<(Lane Lane, LaneTally Tally)>> ReadLanesAsync(CancellationToken cancellationToken)
    {
        var lanes = (await documents.ReadAsync<LaneList>(LanesKey, cancellationToken))?.Lanes ?? [];
        var tallies = await documents.ReadAsync<LaneTally>([.. lanes.Select(TallyKey)], cancellationToken);
        return [.. lanes.Select(lane => (lane, tallies.GetValueOrDefault(TallyKey(lane), LaneTally.Start)))];
    }

    /// <summary>Makes lanes known before anything is counted in them.</summary>
    public Task OpenAsync(IReadOnlyCollection<Lane> lanes, CancellationToken cancellationToken) => documents.ChangeAsync<LaneList>(
        LanesKey,
        known => known is not null && lanes.All(known.Lanes.Contains) ? known : new LaneList([.. (known?.Lanes ?? []).Union(lanes)]),
        cancellationToken);

    /// <summary>
    /// Counts the events between two positions of each lane, all lanes in the same calls. A lane with a part that is already further than where it is
    /// to be moved from but not as far as to (another instance, or this one before a crash, was there) is not moved; go on with it commit by commit.
    /// </summary>
    /// <param name="isOneCommit">The events of each are those of one commit: a part that is not at its position yet lacks all of them.</param>
    /// <returns>Those that were not moved.</returns>
    public async Task<IReadOnlyCollection<LaneMove>> MoveAsync(IReadOnlyCollection<LaneMove> moves, bool isOneCommit, CancellationToken cancellationToken)
    {
        var changes = moves
            .SelectMany(move => move.Change.Days.GroupBy(day => DaysKey(move.Lane, day.Key[..7]))
                .Concat(move.Change.Products.GroupBy(product => ProductsKey(move.Lane, PartOf(product.Key))))
                .Select(part => (part.Key, Move: move, Sold: part.ToList())))
            .ToDictionary(part => part.Key);
        var between = new HashSet<LaneMove>();
        await documents.ChangeAsync<SalesPart>(
            changes.Keys,
            (key, part) =>
            {
                var (_, move, sold) = changes[key];
                if (part?.Position >= move.To)
                    return part;
                if (part?.Position > move.From && !isOneCommit)
                {
                    between.Add(move);
                    return part;
                }

                var byKey = new Dictionary<string, Sold>(part?.ByKey ?? new Dictionary<string, Sold>());
                foreach (var (name, more) in sold)
                    byKey[name] = byKey.GetValueOrDefault(name, Sold.Nothing) + more;
                return new SalesPart(move.To, byKey);
            },
            cancellationToken);

        var moved = moves.Where(move => !between.Contains(move)).ToDictionary(move => TallyKey(move.Lane));
        await documents.ChangeAsync<LaneTally>(
            moved.Keys,
            (key, tally) => (tally ?? LaneTally.Start) is { } current && current.Position == moved[key].From
                ? current.MovedTo(moved[key].To, moved[key].Events, moved[key].Change)
                : tally,
            cancellationToken);
        return between;
    }

    /// <summary>Every day from the first to the last, with what was sold.</summary>
    public async Task<IReadOnlyList<(DateOnly Day, Sold Sold)>> ReadDaysAsync(DateOnly first, DateOnly last, CancellationToken cancellationToken)
    {
        var days = Enumerable.Range(0, last.DayNumber - first.DayNumber + 1).Select(first.AddDays).ToList();
        var months = days.Select(day => Text(day)[..7]).Distinct().ToList();
        var sold = await SumAsync(lane => months.Select(month => DaysKey(lane, month)), cancellationToken);
        return [.. days.Select(day => (day, sold.GetValueOrDefault(Text(day), Sold.Nothing)))];
    }

    public Task<IReadOnlyDictionary<string, Sold>> ReadProductsAsync(CancellationToken cancellationToken) =>
        SumAsync(lane => Enumerable.Range(0, ProductParts).Select(part => ProductsKey(lane, part)), cancellationToken);

    /// <summary>Removes the parts of the days on which these orders were paid.</summary>
    public async Task RemoveDaysAsync(IReadOnlyCollection<OrderSummary> orders, CancellationToken cancellationToken)
    {
        var months = orders
            .SelectMany(order => order.History)
            .Where(change => change.Status == OrderStatus.Paid)
            .Select(change => SalesChange.DayOf(change)[..7])
            .Distinct()
            .ToList();
        var lanes = await ReadLanesAsync(cancellationToken);
        await documents.DeleteAsync([.. lanes.SelectMany(lane => months.Select(month => DaysKey(lane.Lane, month)))], cancellationToken);
    }

    /// <summary>Removes the rest, the list of lanes last.</summary>
    public async Task RemoveAsync(CancellationToken cancellationToken)
    {
        var lanes = await ReadLanesAsync(cancellationToken);
        await documents.DeleteAsync(
            [.. lanes.SelectMany(lane => Enumerable.Range(0, ProductParts).Select(part => ProductsKey(lane.Lane, part)).Append(TallyKey(lane.Lane)))],
            cancellationToken);
        await documents.DeleteAsync(LanesKey, cancellationToken);
    }

    private async Task<IReadOnlyDictionary<string, Sold>> SumAsync(Func<Lane, IEnumerable<string>> keysOf, CancellationToken cancellationToken)
    {
        var lanes = (await documents.ReadAsync<LaneList>(LanesKey, cancellationToken))?.Lanes ?? [];
        var parts = await documents.ReadAsync<SalesPart>([.. lanes.SelectMany(keysOf)], cancellationToken);
        return parts.Values
            .SelectMany(part => part.ByKey)
            .GroupBy(sold => sold.Key)
            .ToDictionary(sold => sold.Key, sold => sold.Aggregate(Sold.Nothing, (sum, part) => sum + part.Value));
    }

    /// <summary>FNV-1a: the same in every process and for good, which string.GetHashCode is not.</summary>
    private static int PartOf(string sku) => (int)(sku.Aggregate(2166136261u, (hash, letter) => unchecked((hash ^ letter) * 16777619u)) % ProductParts);

    private static string Text(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private string TallyKey(Lane lane) => $"v{version}|lane|{lane.Publisher}|{lane.Name}";

    private string DaysKey(Lane lane, string month) => $"v{version}|days|{lane.Publisher}|{lane.Name}|{month}";

    private string ProductsKey(Lane lane, int part) => $"v{version}|products|{lane.Publisher}|{lane.Name}|{part}";

    private sealed record LaneList(IReadOnlyList<Lane> Lanes);
}
