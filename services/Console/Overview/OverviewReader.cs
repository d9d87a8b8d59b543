using DaprOrders.Console.Calling;

namespace DaprOrders.Console.Overview;

public sealed record AppHealth(string App, Answer<Health> Health);

public sealed record LettersOf(string App, Answer<DeadLetterPage> Letters);

public sealed record LanesOf(string App, Answer<Lanes> Lanes, Answer<ParkedEvents> Parked);

public sealed record ConsumersOf(string App, Answer<CatchUp> CatchUp);

/// <summary>How far a consumer is behind a publisher's log, in commits, and which topics it takes from there.</summary>
public sealed record Lag(string Consumer, string Publisher, IReadOnlyList<string> Topics, long Commits);

/// <param name="Oldest">The open order that was placed first; null when none is open.</param>
/// <param name="IsOldest">False: there may be older ones that were not read.</param>
public sealed record OverviewState(
    DateTimeOffset At,
    Flow Flow,
    Answer<Summary> Summary,
    ListedOrder? Oldest,
    bool IsOldest,
    IReadOnlyList<LettersOf> Letters,
    IReadOnlyList<LanesOf> Logs,
    IReadOnlyList<Lag> Lags,
    IReadOnlyList<AppHealth> Health,
    Answer<Projections> Projections);

/// <summary>Everything that the overview shows, asked of all services at once.</summary>
public sealed class OverviewReader(ServicesClient services, TimeProvider time)
{
    private const int PageOfOrders = 200;
    private const int MostPages = 5;
    private const int MostLetters = 500;

    private static readonly string[] Open = ["created", "stockReserved", "paid"];

    public async Task<OverviewState> ReadAsync(FlowWindow flow, CancellationToken cancellationToken)
    {
        var recent = ReadRecentAsync(flow, cancellationToken);
        var summary = ReadOpenAsync(cancellationToken);
        var letters = Task.WhenAll(Apps.All.Select(async app =>
            new LettersOf(app, await services.GetAsync<DeadLetterPage>(app, $"dead-letters?limit={MostLetters}", cancellationToken))));
        var logs = Task.WhenAll(Apps.Publishers.Select(async app =>
        {
            var lanes = services.GetAsync<Lanes>(app, "event-log", cancellationToken);
            return new LanesOf(app, await lanes, await services.GetAsync<ParkedEvents>(app, "event-log/parked", cancellationToken));
        }));
        var consumers = Task.WhenAll(Apps.All.Select(async app => new ConsumersOf(app, await services.GetAsync<CatchUp>(app, "catch-up", cancellationToken))));
        var projections = services.GetAsync<Projections>(Apps.Reporting, "projections", cancellationToken);
        var health = Task.WhenAll(Apps.All.Select(async app => new AppHealth(app, await services.GetHealthAsync(app, cancellationToken))));
        await Task.WhenAll(recent, summary, letters, logs, consumers, projections, health);

        var (sums, oldest, isOldest) = await summary;
        var now = time.GetUtcNow();
        return new(now, flow.Read(now), sums, oldest, isOldest, await letters, await logs, LagsOf(await logs, await consumers, await projections), await health, await projections);
    }

    /// <summary>Of each consumer and publisher, how many commits of the publisher's log are not known to be dealt with.</summary>
    public static IReadOnlyList<Lag> LagsOf(IReadOnlyList<LanesOf> logs, IReadOnlyList<ConsumersOf> consumers, Answer<Projections> projections)
    {
        var heads = logs.Where(log => log.Lanes.IsHere).SelectMany(log => log.Lanes.Value!.All.Select(lane => ((log.App, lane.Name), lane.Settled))).ToDictionary();
        var lags = consumers
            .Where(consumer => consumer.CatchUp.IsHere)
            .SelectMany(consumer => consumer.CatchUp.Value!.Publishers.Select(publisher => new Lag(
                consumer.App, publisher.Publisher, publisher.Topics, publisher.Lanes.Sum(lane => Behind(publisher.Publisher, lane.Lane, lane.Position)))))
            .ToList();
        if (projections.Value is { } read)
        {
            lags.Add(new(Apps.Reporting, "everybody", ["all event logs"], logs.Where(log => log.Lanes.IsHere).Sum(log => log.Lanes.Value!.All.Sum(lane =>
                Behind(log.App, lane.Name, read.Serving.Lanes.FirstOrDefault(position => position.Publisher == log.App && position.Lane == lane.Name)?.Position ?? 0)))));
        }

        return lags;

        long Behind(string publisher, string lane, long position) => Math.Max(0, heads.GetValueOrDefault((publisher, lane)) - position);
    }

    private async Task ReadRecentAsync(FlowWindow flow, CancellationToken cancellationToken)
    {
        string? cursor = null;
        for (var page = 0; page < MostPages; page++)
        {
            var read = await services.GetAsync<OrderPage>(
                Apps.Reporting, $"orders?limit={PageOfOrders}{(cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}")}", cancellationToken);
            if (!read.IsHere)
                return;
            var now = time.GetUtcNow();
            flow.Take(read.Value.Orders, read.Value.Cursor is null, now);
            cursor = read.Value.Cursor;
            if (cursor is null || flow.KnownFrom is null || read.Value.Orders.Count == 0)
                return;
        }
    }

    private async Task<(Answer<Summary> Summary, ListedOrder? Oldest, bool IsOldest)> ReadOpenAsync(CancellationToken cancellationToken)
    {
        var summary = await services.GetAsync<Summary>(Apps.Reporting, "summary", cancellationToken);
        if (!summary.IsHere)
            return (summary, null, false);
        var pages = await Task.WhenAll(Open.Where(status => summary.Value.ByStatus.GetValueOrDefault(status) > 0).Select(status =>
            services.GetAsync<OrderPage>(Apps.Reporting, $"orders?status={status}&limit={PageOfOrders}", cancellationToken)));
        var oldest = pages.Where(page => page.IsHere).SelectMany(page => page.Value!.Orders).MinBy(order => order.CreatedAt);
        return (summary, oldest, pages.All(page => page is { IsHere: true, Value.Cursor: null }));
    }
}
