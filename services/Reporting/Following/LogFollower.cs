using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.Reporting.Orders;
using DaprOrders.Reporting.Sales;

namespace DaprOrders.Reporting.Following;

/// <summary>
/// Reads the publishers' event logs into one version of the projections, lane by lane. What the topics lost is found here, and the
/// aggregates are made here only. Any number of instances may do this at once: positions and versions decide.
/// </summary>
internal sealed class LogFollower(
    IPublisherLogs logs, OrderSummaries summaries, SalesLedger ledger, EventTypes types)
{
    private const int EventsInPage = 1000;

    /// <summary>Reads one page of every lane that has more to read. A publisher that does not answer keeps none of the others waiting.</summary>
    /// <returns>True when every lane was read to its end as it was at the beginning of the call.</returns>
    /// <exception cref="HttpRequestException">A publisher did not answer; what the others gave is applied.</exception>
    public async Task<bool> AdvanceAsync(CancellationToken cancellationToken)
    {
        var asked = await Task.WhenAll(SourceEvents.Publishers.Select(publisher => AskAsync(publisher, cancellationToken)));
        var isThrough = await AdvanceAsync([.. asked.SelectMany(publisher => publisher.Lanes)], cancellationToken);
        return asked.Select(publisher => publisher.Failure).FirstOrDefault(failure => failure is not null) is { } failure ? throw failure : isThrough;
    }

    private async Task<(IReadOnlyList<(Lane Lane, long Settled)> Lanes, HttpRequestException? Failure)> AskAsync(
        string publisher, CancellationToken cancellationToken)
    {
        try
        {
            var lanes = await logs.ReadLanesAsync(publisher, cancellationToken);
            return ([.. lanes.Select(lane => (new Lane(publisher, lane.Name), lane.Settled))], null);
        }
        catch (HttpRequestException exception)
        {
            return ([], exception);
        }
    }

    private async Task<bool> AdvanceAsync(IReadOnlyList<(Lane Lane, long Settled)> lanes, CancellationToken cancellationToken)
    {
        var read = (await ledger.ReadLanesAsync(cancellationToken)).ToDictionary(lane => lane.Lane, lane => lane.Tally.Position);
        if (lanes.Any(lane => !read.ContainsKey(lane.Lane)))
            await ledger.OpenAsync([.. lanes.Select(lane => lane.Lane)], cancellationToken);

        var behind = lanes.Where(lane => read.GetValueOrDefault(lane.Lane) < lane.Settled).ToList();
        if (behind.Count == 0)
            return true;

        var pages = await Task.WhenAll(behind.Select(lane => ReadAsync(lane.Lane, read.GetValueOrDefault(lane.Lane), EventsInPage, cancellationToken)));
        var orders = await summaries.ApplyAsync([.. pages.SelectMany(page => page.Events)], cancellationToken);
        var isThrough = true;
        foreach (var (page, (_, settled)) in pages.Zip(behind))
        {
            var isCounted = await CountAsync(page, orders, isOneCommit: false, cancellationToken);
            if (!isCounted)
                await CountCommitByCommitAsync(page, orders, cancellationToken);
            isThrough &= isCounted && page.To >= settled;
        }

        return isThrough;
    }

    private async Task<PageOfLane> ReadAsync(Lane lane, long from, int limit, CancellationToken cancellationToken)
    {
        var page = await logs.ReadLaneAsync(lane.Publisher, lane.Name, from, limit, cancellationToken);
        var events = page.Events
            .Where(SourceEvents.IsOfOrder)
            .Select(recorded => IncomingEvent.Of(lane.Publisher, recorded, types))
            .Where(incoming => incoming.IsKnown)
            .ToList();
        return new PageOfLane(lane, from, page.Next, page.Events.Count, events);
    }

    private Task<bool> CountAsync(
        PageOfLane page, IReadOnlyDictionary<string, OrderSummary> orders, bool isOneCommit, CancellationToken cancellationToken)
    {
        var change = new SalesChange();
        if (page.Lane.Publisher == SourceEvents.Sales)
        {
            foreach (var incoming in page.Events)
                change.Add(incoming.Recorded, orders[SourceEvents.OrderIdOf(incoming)]);
        }

        return ledger.MoveAsync(page.Lane, page.From, page.To, page.EventsRead, change, isOneCommit, cancellationToken);
    }

    /// <summary>A crash, or another instance, left parts of the aggregates in the middle of the page: their positions are those of commits.</summary>
    private async Task CountCommitByCommitAsync(
        PageOfLane page, IReadOnlyDictionary<string, OrderSummary> orders, CancellationToken cancellationToken)
    {
        for (var from = page.From; from < page.To;)
        {
            var commit = await ReadAsync(page.Lane, from, 1, cancellationToken);
            if (commit.To > page.To)
                return;
            await CountAsync(commit, orders, isOneCommit: true, cancellationToken);
            from = commit.To;
        }
    }

    private sealed record PageOfLane(Lane Lane, long From, long To, int EventsRead, IReadOnlyList<IncomingEvent> Events);
}
