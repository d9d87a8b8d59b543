using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Overview;

public sealed record AppHealth(string App, Answer<Health> Health);

/// <param name="IsAll">False: there are more than were counted.</param>
public sealed record LetterCounts(int Count, bool IsAll, IReadOnlyList<DeadLetterGroup> Groups);

public sealed record LettersOf(string App, Answer<LetterCounts> Letters);

/// <param name="Parked">How many events the broker refuses, by lane, and under an empty name those of which the lane is not known; null when the service does not tell.</param>
public sealed record LanesOf(string App, Answer<Lanes> Lanes, IReadOnlyDictionary<string, int>? Parked);

public sealed record ConsumersOf(string App, Answer<CatchUp> CatchUp);

/// <summary>How far a consumer is behind with a topic.</summary>
/// <param name="Topic">Null: not known.</param>
/// <param name="Commits">Of the publisher's log, whatever topic they are for. Null: it is not known, since the publisher or the consumer does not tell where it is.</param>
/// <param name="Events">Of the topic, that are not known to be handled. Null: not known; of read models only commits are.</param>
/// <param name="IsAll">False: there are more of these events.</param>
public sealed record Lag(string Consumer, string Publisher, string? Topic, long? Commits, long? Events = null, bool IsAll = true);

/// <summary>Orders that are counted as open and are not among those that were looked through.</summary>
public sealed record NotFoundOpen(string Status, long Count);

/// <param name="Oldest">The open order that was placed first; null when none was found.</param>
/// <param name="IsOldest">False: there may be older ones that were not read.</param>
/// <param name="NotFound">Older than all that were looked through.</param>
/// <param name="Failures">Why something is missing here: whatever could not be read, each once.</param>
public sealed record OverviewState(
    DateTimeOffset At,
    Flow Flow,
    Answer<Summary> Summary,
    ListedOrder? Oldest,
    bool IsOldest,
    IReadOnlyList<NotFoundOpen> NotFound,
    IReadOnlyList<LettersOf> Letters,
    IReadOnlyList<LanesOf> Logs,
    IReadOnlyList<Lag> Lags,
    IReadOnlyList<AppHealth> Health,
    Answer<Projections> Projections,
    IReadOnlyList<Failure> Failures);

/// <summary>Everything that the overview shows, asked of all services at once.</summary>
public sealed class OverviewReader(ServicesClient services, TimeProvider time)
{
    private const int PageOfOrders = 200;
    private const int MostPages = 5;
    private const int MostGroups = 20;

    public async Task<OverviewState> ReadAsync(FlowWindow flow, CancellationToken cancellationToken)
    {
        var recent = ReadRecentAsync(flow, cancellationToken);
        var opened = ReadOpenAsync(cancellationToken);
        var letters = Task.WhenAll(Apps.All.Select(app => ReadLettersAsync(app, cancellationToken)));
        var reading = Task.WhenAll(Apps.Publishers.Select(async app =>
        {
            var lanes = services.GetAsync<Lanes>(app, "event-log", cancellationToken);
            var parked = await services.GetAsync<ParkedEvents>(app, "event-log/parked", cancellationToken);
            return (Log: new LanesOf(app, await lanes, parked.Value?.Events.GroupBy(e => e.Lane ?? "").ToDictionary(lane => lane.Key, lane => lane.Count())), parked.Failure);
        }));
        var asked = Task.WhenAll(Apps.All.Select(async app => new ConsumersOf(app, await services.GetAsync<CatchUp>(app, "catch-up", cancellationToken))));
        var projections = services.GetAsync<Projections>(Apps.Reporting, "projections", cancellationToken);
        var health = Task.WhenAll(Apps.All.Select(async app => new AppHealth(app, await services.GetHealthAsync(app, cancellationToken))));
        await Task.WhenAll(recent, opened, letters, reading, asked, projections, health);

        var (open, read, consumers) = (await opened, await reading, await asked);
        IReadOnlyList<LanesOf> logs = [.. read.Select(of => of.Log)];
        IEnumerable<Failure?> failures =
        [
            await recent, open.Summary.Failure, .. open.Failures, .. (await letters).Select(of => of.Letters.Failure), .. read.Select(of => of.Log.Lanes.Failure),
            .. read.Select(of => of.Failure), .. consumers.Select(of => of.CatchUp.Failure), (await projections).Failure,
        ];
        var now = time.GetUtcNow();
        return new(
            now, flow.Read(now), open.Summary, open.Oldest, open.IsOldest, open.NotFound, await letters, logs, LagsOf(logs, consumers, await projections),
            await health, await projections, [.. failures.OfType<Failure>().DistinctBy(failure => failure.ToString())]);
    }

    /// <summary>Of each consumer and topic, how many commits of the publisher's log and how many events of the topic are not known to be dealt with.</summary>
    public static IReadOnlyList<Lag> LagsOf(IReadOnlyList<LanesOf> logs, IReadOnlyList<ConsumersOf> consumers, Answer<Projections> projections)
    {
        var heads = logs.Where(log => log.Lanes.IsHere).ToDictionary(log => log.App, log => log.Lanes.Value!.All);
        var lags = consumers
            .Where(consumer => consumer.CatchUp.IsHere)
            .SelectMany(consumer => consumer.CatchUp.Value!.Publishers.SelectMany(publisher => publisher.Topics.Select(topic =>
            {
                var waiting = publisher.Waiting?.FirstOrDefault(of => of.Topic == topic);
                return new Lag(consumer.App, publisher.Publisher, topic, Behind(publisher), waiting?.Events, waiting?.IsAll ?? true);
            })))
            .ToList();
        if (projections.Value is { } read)
            lags.AddRange(logs.Select(log => new Lag(Apps.Reporting, log.App, read.Serving.TopicOf(log.App), log.Lanes.IsHere ? BehindOf(log, read.Serving) : null)));
        return lags;

        long? Behind(FollowedPublisher publisher)
        {
            // A consumer that cannot ask the publisher names no lanes of it.
            if (!heads.TryGetValue(publisher.Publisher, out var lanes) || (publisher.Lanes.Count == 0 && lanes.Count > 0))
                return null;
            var behind = publisher.Lanes.Join(lanes, at => at.Lane, head => head.Name, (at, head) => Math.Max(0, head.Settled - at.Position)).ToList();
            return behind.Count == publisher.Lanes.Count ? behind.Sum() : null;
        }

        static long BehindOf(LanesOf log, ProjectionVersion serving) => log.Lanes.Value!.All.Sum(lane => Math.Max(
            0, lane.Settled - (serving.PositionIn(log.App, lane.Name) ?? 0)));
    }

    private async Task<LettersOf> ReadLettersAsync(string app, CancellationToken cancellationToken)
    {
        var count = 0;
        var groups = new List<DeadLetterGroup>();
        string? cursor = null;
        for (var page = 0; page < MostPages; page++)
        {
            var read = await services.GetAsync<DeadLetterCounts>(
                app, $"dead-letters/counts{(cursor is null ? "" : $"?cursor={Uri.EscapeDataString(cursor)}")}", cancellationToken);
            if (!read.IsHere)
                return new(app, new(null, read.Failure));
            count += read.Value.Letters;
            groups.AddRange(read.Value.Groups);
            cursor = read.Value.Cursor;
            if (cursor is null)
                break;
        }

        // What one answer counts of a group, another goes on with.
        var whole = groups.GroupBy(group => (group.Reason, group.Topic)).Select(parts => new DeadLetterGroup(
            parts.Key.Reason, parts.Key.Topic, parts.Sum(part => part.Count), parts.Min(part => part.First), parts.Max(part => part.Last)));
        return new(app, new(new(count, cursor is null, [.. whole.OrderByDescending(group => group.Count).Take(MostGroups)]), null));
    }

    private async Task<Failure?> ReadRecentAsync(FlowWindow flow, CancellationToken cancellationToken)
    {
        string? cursor = null;
        for (var page = 0; page < MostPages; page++)
        {
            var read = await services.GetAsync<OrderPage>(
                Apps.Reporting, $"orders?limit={PageOfOrders}{ServicesClient.From(cursor)}", cancellationToken);
            if (!read.IsHere)
                return read.Failure;
            var now = time.GetUtcNow();
            flow.Take(read.Value.Orders, read.Value.Cursor is null, now, isBehind: page > 0);
            cursor = read.Value.Cursor;
            if (cursor is null || flow is { KnownFrom: null, IsCaughtUp: true } || read.Value.Orders.Count == 0)
                break;
        }

        return null;
    }

    private async Task<OpenOrders> ReadOpenAsync(CancellationToken cancellationToken)
    {
        var summary = await services.GetAsync<Summary>(Apps.Reporting, "summary", cancellationToken);
        if (!summary.IsHere)
            return new(summary, null, false, [], []);
        var found = await Task.WhenAll(OrderStatuses.Open.Where(status => summary.Value.ByStatus.GetValueOrDefault(status) > 0).Select(status =>
            ReadOpenAsync(status, summary.Value.ByStatus[status], cancellationToken)));
        var oldest = found.Select(of => of.Oldest).OfType<ListedOrder>().MinBy(order => order.CreatedAt);
        return new(
            summary,
            oldest is null ? null : oldest with { Lines = [] },
            found.All(of => of.IsAll),
            [.. found.Select(of => of.NotFound).OfType<NotFoundOpen>()],
            [.. found.Select(of => of.Failure).OfType<Failure>()]);
    }

    /// <summary>
    /// Reporting looks through so many orders for one answer, from the newest back, and gives a cursor when that was not enough: an order that is
    /// stuck among thousands that are not is found by it.
    /// </summary>
    private async Task<OpenOfStatus> ReadOpenAsync(string status, long count, CancellationToken cancellationToken)
    {
        ListedOrder? oldest = null;
        string? cursor = null;
        var found = 0;
        var isShort = false;
        for (var page = 0; page < MostPages && found < count; page++)
        {
            var read = await services.GetAsync<OrderPage>(
                Apps.Reporting, $"orders?status={status}&limit={PageOfOrders}{ServicesClient.From(cursor)}", cancellationToken);
            if (!read.IsHere)
                return new(oldest, false, null, read.Failure);
            oldest = read.Value.Orders.Append(oldest).OfType<ListedOrder>().MinBy(order => order.CreatedAt);
            found += read.Value.Orders.Count;
            (cursor, isShort) = (read.Value.Cursor, read.Value.Orders.Count < PageOfOrders);
            if (cursor is null)
                return new(oldest, true, null, null);
        }

        return new(oldest, found >= count, found < count && isShort ? new(status, count - found) : null, null);
    }

    private sealed record OpenOrders(
        Answer<Summary> Summary, ListedOrder? Oldest, bool IsOldest, IReadOnlyList<NotFoundOpen> NotFound, IReadOnlyList<Failure> Failures);

    private sealed record OpenOfStatus(ListedOrder? Oldest, bool IsAll, NotFoundOpen? NotFound, Failure? Failure);
}
