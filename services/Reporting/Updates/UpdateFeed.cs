using System.Collections.Immutable;
using DaprOrders.EventSourcing;
using DaprOrders.Reporting.Following;
using DaprOrders.Reporting.Orders;
using Microsoft.Extensions.Options;

namespace DaprOrders.Reporting.Updates;

/// <summary>
/// Tells every client on this replica what became of orders. It follows what the read models have, whichever replica brought it in: how far they are in the
/// orders' event log says that there is news, the log says of which orders, and their summaries say what. One reading serves all clients; without a client
/// nothing is read.
/// </summary>
internal sealed class UpdateFeed(
    Projections projections,
    IPublisherLogs logs,
    IOptions<ReportingOptions> options,
    IHostApplicationLifetime lifetime,
    ReportingMetrics metrics,
    TimeProvider time,
    ILogger<UpdateFeed> logger) : BackgroundService
{
    private const int EntriesInPage = 1000;
    private const string OrderStream = "order-";

    private readonly Wakeup _wakeUp = new();
    private readonly SemaphoreSlim _reading = new(1);
    private readonly Lock _lock = new();
    private readonly HashSet<UpdateSubscription> _subscriptions = [];
    private readonly RecentUpdates _recent = new(options.Value.RecentUpdates);
    private bool _isEnding;

    public int Clients
    {
        get
        {
            lock (_lock)
                return _subscriptions.Count;
        }
    }

    /// <summary>The read models have something new.</summary>
    public void Wake() => _wakeUp.Set();

    /// <summary>From after the position that an earlier subscription gave; without one, or when that cannot be told any more, from now on.</summary>
    /// <param name="isWanted">Which updates the client is sent.</param>
    public async Task<UpdateSubscription> SubscribeAsync(string? after, Predicate<OrderUpdateView> isWanted, CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            if (Clients == 0)
                await BeginAsync(cancellationToken);
            if (after is null)
                return Subscribe(_recent.Last, isAnew: false, isWanted);
            return UpdatePosition.Parse(after) is { } position && await CanTellAfterAsync(position, cancellationToken)
                ? Subscribe(position, isAnew: false, isWanted)
                : Subscribe(_recent.Last, isAnew: true, isWanted);
        }
        finally
        {
            _reading.Release();
            _wakeUp.Set();
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // The server is stopped before this is, and waits for its requests.
        using var ending = lifetime.ApplicationStopping.Register(End);
        await Task.WhenAll(FollowAsync(stoppingToken), ShowLifeAsync(stoppingToken));
    }

    private async Task FollowAsync(CancellationToken stoppingToken)
    {
        string? failure = null;
        while (!stoppingToken.IsCancellationRequested)
        {
            if (Clients == 0)
                await _wakeUp.WaitAsync(stoppingToken);
            else
                await _wakeUp.WaitAsync(options.Value.UpdatesEvery, time, stoppingToken);
            try
            {
                await ReadAsync(stoppingToken);
                failure = null;
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                if (failure != exception.Message)
                    logger.LogWarning(exception, "Live updates wait: what became of orders cannot be read now; it is tried again every {UpdatesEvery}", options.Value.UpdatesEvery);
                failure = exception.Message;
            }
        }
    }

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        await _reading.WaitAsync(cancellationToken);
        try
        {
            if (Clients > 0 && !await ReadOnAsync(cancellationToken))
                _wakeUp.Set();
        }
        finally
        {
            _reading.Release();
        }
    }

    private async Task ShowLifeAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(options.Value.HeartbeatEvery, time);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            lock (_lock)
                Send(subscription => subscription.TryShowLife());
        }
    }

    // Nobody listened, so what came meanwhile is nobody's; who comes back to it has it read back.
    private async Task BeginAsync(CancellationToken cancellationToken)
    {
        var position = UpdatePosition.Start;
        foreach (var (lane, batch) in await ReadLanesAsync(cancellationToken))
            position = position.MovedTo(lane, new LanePosition(batch));
        lock (_lock)
            _recent.StartAt(position);
    }

    private async Task<bool> CanTellAfterAsync(UpdatePosition position, CancellationToken cancellationToken)
    {
        // Another replica may have been a moment ahead.
        if (!_recent.Last.Reaches(position))
            await ReadOnAsync(cancellationToken);
        return _recent.Last.Reaches(position) && (position.Reaches(_recent.First) || await ReadBackAsync(position, cancellationToken));
    }

    /// <returns>False when there is more to read.</returns>
    private async Task<bool> ReadOnAsync(CancellationToken cancellationToken)
    {
        var last = _recent.Last;
        var moved = (await ReadLanesAsync(cancellationToken)).Where(lane => lane.Value > last.Of(lane.Key).Batch).ToList();
        if (moved.Count == 0)
            return true;
        var pages = await Task.WhenAll(moved.Select(lane => ReadPageAsync(lane.Key, last.Of(lane.Key).Batch, lane.Value, cancellationToken)));
        var updates = await UpdatesAsync(pages, cancellationToken);
        foreach (var page in pages)
            last = last.MovedTo(page.Lane, new LanePosition(page.To));
        lock (_lock)
        {
            foreach (var sent in _recent.Append(updates, last))
                Send(subscription => subscription.TrySend(sent));
        }

        return pages.Zip(moved, (page, lane) => page.To >= lane.Value).All(isThrough => isThrough);
    }

    /// <summary>Makes the updates after an earlier position known again, for this client and for those that come after it.</summary>
    private async Task<bool> ReadBackAsync(UpdatePosition after, CancellationToken cancellationToken)
    {
        var first = _recent.First;
        // Lanes that came later are read from where they begin.
        var from = first.Lanes.Keys.Aggregate(
            UpdatePosition.Start, (earlier, lane) => earlier.MovedTo(lane, after.Of(lane).CompareTo(first.Of(lane)) < 0 ? after.Of(lane) : first.Of(lane)));
        if (first.Lanes.Sum(lane => lane.Value.Batch - from.Of(lane.Key).Whole) > options.Value.RecentUpdates)
            return false;

        var pages = new List<PageOfLane>();
        foreach (var (lane, position) in first.Lanes.Where(lane => from.Of(lane.Key).CompareTo(lane.Value) < 0))
        {
            for (var read = from.Of(lane).Whole; read < position.Batch; read = pages[^1].To)
                pages.Add(await ReadPageAsync(lane, read, position.Batch, cancellationToken));
        }

        var updates = (await UpdatesAsync(pages, cancellationToken))
            .Where(update => update.Position.CompareTo(from.Of(update.Lane)) > 0 && update.Position.CompareTo(first.Of(update.Lane)) <= 0)
            .ToList();
        lock (_lock)
            return _recent.Prepend(from, updates);
    }

    private async Task<IReadOnlyDictionary<string, long>> ReadLanesAsync(CancellationToken cancellationToken)
    {
        var sales = await projections.ServingSalesAsync(cancellationToken);
        return (await sales.ReadLanesAsync(cancellationToken))
            .Where(lane => lane.Lane.Publisher == SourceEvents.Sales)
            .ToDictionary(lane => lane.Lane.Name, lane => lane.Tally.Position);
    }

    private async Task<PageOfLane> ReadPageAsync(string lane, long from, long to, CancellationToken cancellationToken)
    {
        var page = await logs.ReadEntriesAsync(SourceEvents.Sales, lane, from, EntriesInPage, cancellationToken);
        // What is further than the read models are is read when they are there.
        return new PageOfLane(
            lane,
            page.Next > from ? Math.Min(page.Next, to) : to,
            [.. page.Entries.Where(entry => entry.Position <= to && entry.Stream.StartsWith(OrderStream, StringComparison.Ordinal))]);
    }

    /// <summary>What the summaries say of the entries, in the order of each lane, and as far as that allows in the order of time.</summary>
    private async Task<IReadOnlyList<OrderUpdate>> UpdatesAsync(IReadOnlyList<PageOfLane> pages, CancellationToken cancellationToken)
    {
        var summaries = await projections.ServingOrdersAsync(cancellationToken);
        var orders = await summaries.ReadAsync([.. pages.SelectMany(page => page.Entries).Select(OrderIdOf).Distinct()], cancellationToken);
        return Merged([.. pages.GroupBy(page => page.Lane).Select(lane => new Queue<OrderUpdate>(lane
            .SelectMany(page => page.Entries)
            .SelectMany(entry => orders.TryGetValue(OrderIdOf(entry), out var order) ? Updates(lane.Key, entry, order) : [])
            .OrderBy(update => update.Position)))]);
    }

    private static IEnumerable<OrderUpdate> Updates(string lane, LogEntry entry, OrderSummary order) => order.History
        .Where(change => change.Version >= entry.From && change.Version <= entry.To)
        .Select(change => new OrderUpdate(OrderUpdateView.Of(order, change), lane, new LanePosition(entry.Position, order.OrderId, change.Version)));

    private static List<OrderUpdate> Merged(ImmutableArray<Queue<OrderUpdate>> lanes)
    {
        var merged = new List<OrderUpdate>(lanes.Sum(lane => lane.Count));
        while (lanes.Where(lane => lane.Count > 0).MinBy(lane => lane.Peek().View.At) is { } earliest)
            merged.Add(earliest.Dequeue());
        return merged;
    }

    private static string OrderIdOf(LogEntry entry) => entry.Stream[OrderStream.Length..];

    private UpdateSubscription Subscribe(UpdatePosition position, bool isAnew, Predicate<OrderUpdateView> isWanted)
    {
        lock (_lock)
        {
            var missed = _recent.After(position) ?? [];
            var subscription = new UpdateSubscription(options.Value.UpdatesQueue + missed.Count, position, isAnew, isWanted, End);
            foreach (var update in missed)
                subscription.TrySend(update);
            if (_isEnding)
            {
                subscription.Drop();
                return subscription;
            }

            _subscriptions.Add(subscription);
            metrics.ClientCame();
            return subscription;
        }
    }

    // Under the lock.
    private void Send(Func<UpdateSubscription, bool> trySend)
    {
        List<UpdateSubscription>? slow = null;
        foreach (var subscription in _subscriptions.Where(subscription => !trySend(subscription)))
            (slow ??= []).Add(subscription);
        foreach (var subscription in slow ?? [])
        {
            Remove(subscription);
            subscription.Drop();
            if (!_isEnding)
                metrics.ClientDropped();
        }
    }

    private void End(UpdateSubscription subscription)
    {
        lock (_lock)
            Remove(subscription);
    }

    private void Remove(UpdateSubscription subscription)
    {
        if (_subscriptions.Remove(subscription))
            metrics.ClientGoes();
    }

    private void End()
    {
        lock (_lock)
        {
            _isEnding = true;
            Send(_ => false);
        }
    }

    private sealed record PageOfLane(string Lane, long To, IReadOnlyList<LogEntry> Entries);
}
