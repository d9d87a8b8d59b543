using System.Collections.Concurrent;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;

namespace DaprOrders.Reporting.Orders;

/// <summary>
/// The summaries of one version of the projections, and the lists of them. A batch costs a few bulk calls: read the touched summaries,
/// fetch what is missing before the events in hand, list what is new, relabel what changed, write the summaries. The summaries come last,
/// so a batch that is broken off is done again as a whole.
/// </summary>
internal sealed class OrderSummaries(Documents documents, IPublisherStreams publishers, EventTypes types, long version)
{
    private const int EntriesInPage = 250;

    private const int GapsAtOnce = 16;

    private readonly PagedLists _lists = new(documents, EntriesInPage);

    private string AllOrders => $"v{version}|orders";

    /// <summary>Applies events of any orders; returns their summaries as they then are, by order id.</summary>
    public async Task<IReadOnlyDictionary<string, OrderSummary>> ApplyAsync(
        IReadOnlyList<IncomingEvent> events, CancellationToken cancellationToken)
    {
        var byOrder = events.GroupBy(SourceEvents.OrderIdOf).ToDictionary(order => order.Key, order => order.ToList());
        var read = await documents.ReadToChangeAsync<OrderSummary>([.. byOrder.Keys.Select(KeyOf)], cancellationToken);
        var batches = new ConcurrentDictionary<string, IReadOnlyList<IncomingEvent>>();
        await Parallel.ForEachAsync(
            byOrder,
            new ParallelOptions { MaxDegreeOfParallelism = GapsAtOnce, CancellationToken = cancellationToken },
            async (order, cancellation) => batches[order.Key] = await CompleteAsync(read[KeyOf(order.Key)], order.Value, cancellation));

        var summaries = batches.ToDictionary(order => order.Key, order => Applied(order.Key, read[KeyOf(order.Key)]));
        var pages = await ListAsync(read, [.. summaries.Values], cancellationToken);
        var written = await documents.ChangeAsync(
            read,
            (key, current) =>
            {
                var orderId = OrderIdOf(key);
                var applied = ReferenceEquals(current, read[key]) ? summaries[orderId] : Applied(orderId, current);
                return applied.Page is null && pages.TryGetValue(orderId, out var page) ? applied with { Page = page } : applied;
            },
            cancellationToken);

        // Another instance may have listed the order elsewhere at the same time; its page counts then.
        await RelabelAsync(written.Values.Where(summary => pages.TryGetValue(summary.OrderId, out var page) && summary.Page != page), cancellationToken);
        return written.Values.ToDictionary(summary => summary.OrderId);

        OrderSummary Applied(string orderId, OrderSummary? summary) => (summary ?? OrderSummary.Unknown(orderId)).Apply(batches[orderId]);
    }

    public async Task<IReadOnlyDictionary<string, OrderSummary>> ReadAsync(IReadOnlyCollection<string> orderIds, CancellationToken cancellationToken)
    {
        var found = await documents.ReadAsync<OrderSummary>([.. orderIds.Select(KeyOf)], cancellationToken);
        return found.Values.ToDictionary(summary => summary.OrderId);
    }

    /// <summary>Newest first; null when the cursor is none of this list.</summary>
    public Task<OrderPage?> ReadOfCustomerAsync(string customerId, string? cursor, int limit, CancellationToken cancellationToken) =>
        new OrderListReader(_lists, this, OfCustomer(customerId), summary => summary.Page?.OfCustomer).ReadAsync(null, cursor, limit, cancellationToken);

    /// <summary>Newest first, of one status or of all; null when the cursor is none of this list.</summary>
    public Task<OrderPage?> ReadAllAsync(string? status, string? cursor, int limit, CancellationToken cancellationToken) =>
        new OrderListReader(_lists, this, AllOrders, summary => summary.Page?.All).ReadAsync(status, cursor, limit, cancellationToken);

    /// <summary>
    /// Removes this version, page by page from the newest: summaries and their customers' lists, then the list itself. Broken off, it is
    /// done again from the start; what is gone costs little.
    /// </summary>
    /// <param name="first">Is done with the summaries of a page before they go.</param>
    public async Task RemoveAsync(Func<IReadOnlyCollection<OrderSummary>, Task> first, CancellationToken cancellationToken)
    {
        var (_, last) = await _lists.ReadBoundsAsync(AllOrders, cancellationToken);
        for (var page = last; page >= 0; page--)
        {
            var listed = await _lists.ReadPageAsync(AllOrders, page, cancellationToken);
            var orders = (await ReadAsync([.. listed.Select(entry => entry.Id)], cancellationToken)).Values.ToList();
            await first(orders);
            await _lists.DeleteAsync([.. orders.Select(order => OfCustomer(order.CustomerId!)).Distinct()], cancellationToken);
            await documents.DeleteAsync([.. orders.Select(order => KeyOf(order.OrderId))], cancellationToken);
        }

        await _lists.DeleteAsync([AllOrders], cancellationToken);
    }

    /// <summary>The events in order, by stream, with those before them that were not delivered here.</summary>
    private async Task<IReadOnlyList<IncomingEvent>> CompleteAsync(
        OrderSummary? summary, List<IncomingEvent> events, CancellationToken cancellationToken)
    {
        var complete = new List<IncomingEvent>(events.Count);
        foreach (var stream in events.GroupBy(incoming => incoming.Recorded.Stream))
        {
            var position = summary?.Positions.GetValueOrDefault(stream.Key) ?? 0;
            complete.AddRange(await publishers.CompleteAsync(
                [.. stream.OrderBy(incoming => incoming.Recorded.Version)], position, types, cancellationToken));
        }

        return complete;
    }

    private async Task<Dictionary<string, OrderPages>> ListAsync(
        ReadDocuments<OrderSummary> read, IReadOnlyList<OrderSummary> summaries, CancellationToken cancellationToken)
    {
        var next = summaries.Where(summary => summary.CustomerId is not null).ToList();
        // In the order in which they were created, which is that of the list.
        var unlisted = next.Where(summary => summary.Page is null).OrderBy(summary => summary.History[0].At).ToList();
        var listed = await _lists.AddAsync(
            [
                .. unlisted.Select(summary => (AllOrders, Entry(summary))),
                .. unlisted.Select(summary => (OfCustomer(summary.CustomerId!), new ListEntry(summary.OrderId))),
            ],
            cancellationToken);
        var pages = unlisted.Index().ToDictionary(order => order.Item.OrderId, order => new OrderPages(listed[order.Index], listed[unlisted.Count + order.Index]));

        await RelabelAsync(next.Where(summary => summary.Page is not null && summary.Version > read[KeyOf(summary.OrderId)]!.Version), cancellationToken);
        return pages;
    }

    private Task RelabelAsync(IEnumerable<OrderSummary> listed, CancellationToken cancellationToken) => _lists.RelabelAsync(
        [.. listed.Select(summary => (new ListPlace(AllOrders, summary.Page!.All), Entry(summary)))], cancellationToken);

    private static ListEntry Entry(OrderSummary summary) => new(summary.OrderId, summary.Status, summary.Version);

    // Keys come up in the logs of sidecars and stores, and customers do not.
    private string OfCustomer(string customerId) => $"v{version}|customer|{HashedId.Of(customerId)}";

    private string KeyOf(string orderId) => $"v{version}|order|{orderId}";

    private static string OrderIdOf(string key) => key[(key.LastIndexOf('|') + 1)..];
}
