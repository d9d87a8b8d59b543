using DaprOrders.EventSourcing.Projections;

namespace DaprOrders.Reporting.Orders;

/// <param name="Next">The cursor of the page after this one; null at the end.</param>
internal sealed record OrderPage(IReadOnlyList<OrderSummary> Orders, string? Next);

/// <summary>Reads a list of orders from its newest entry back.</summary>
/// <param name="pageOf">The page of this list that a summary says it stands on; entries elsewhere are leftovers.</param>
internal sealed class OrderListReader(PagedLists lists, OrderSummaries summaries, string list, Func<OrderSummary, long?> pageOf)
{
    /// <summary>
    /// Pages looked through for one answer: a filter that few orders pass costs no more than this. The answer may then be short, and has a cursor.
    /// </summary>
    private const int MostPages = 40;

    public async Task<OrderPage?> ReadAsync(string? status, string? cursor, int limit, CancellationToken cancellationToken)
    {
        var (_, last) = await lists.ReadBoundsAsync(list, cancellationToken);
        if (!TryReadCursor(cursor, last, out var page, out var after))
            return null;

        var found = new List<OrderSummary>();
        var end = Math.Max(0, page - MostPages + 1);
        for (; page >= end; page--, after = null)
        {
            var entries = (await lists.ReadPageAsync(list, page, cancellationToken)).Reverse().ToList();
            if (after is not null)
            {
                var at = entries.FindIndex(entry => entry.Id == after);
                if (at < 0)
                    return null;
                entries.RemoveRange(0, at + 1);
            }

            entries.RemoveAll(entry => status is not null && entry.Label != status);
            foreach (var chunk in entries.Chunk(limit))
            {
                var summariesOfChunk = await summaries.ReadAsync([.. chunk.Select(entry => entry.Id)], cancellationToken);
                foreach (var entry in chunk)
                {
                    if (!summariesOfChunk.TryGetValue(entry.Id, out var summary) || pageOf(summary) != page)
                        continue;
                    // The label may be a moment ahead of the summary.
                    if (status is not null && summary.Status != status)
                        continue;
                    if (found.Count == limit)
                        return new OrderPage(found, $"{pageOf(found[^1])}.{found[^1].OrderId}");
                    found.Add(summary);
                }
            }
        }

        // Page `end` was looked through to its last entry: go on with the whole of the page before it.
        return new OrderPage(found, page >= 0 ? $"{page}." : null);
    }

    /// <summary>A cursor is <c>{page}.{id of the last entry seen on it}</c>; no id: the page from its newest entry.</summary>
    private static bool TryReadCursor(string? cursor, long last, out long page, out string? after)
    {
        (page, after) = (last, null);
        if (cursor is null)
            return true;

        var dot = cursor.IndexOf('.');
        if (dot < 0 || !long.TryParse(cursor.AsSpan(0, dot), System.Globalization.NumberStyles.None, null, out page) || page > last)
            return false;
        after = dot + 1 < cursor.Length ? cursor[(dot + 1)..] : null;
        return true;
    }
}
