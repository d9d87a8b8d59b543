using System.Diagnostics;
using System.Runtime.ExceptionServices;
using DaprOrders.EventSourcing;
using DaprOrders.Reporting.Orders;
using DaprOrders.Reporting.Sales;
using DaprOrders.ServiceDefaults.CatchUp;

namespace DaprOrders.Reporting.Following;

/// <summary>
/// Brings one version of the read models up to the publishers' event logs, lane by lane. This is the one way in. Any number of instances may do
/// this at once: positions and versions decide.
/// </summary>
/// <param name="logs">What there is to read.</param>
/// <param name="summaries">The list of orders.</param>
/// <param name="sales">What is counted.</param>
/// <param name="refused">What cannot be applied.</param>
/// <param name="metrics">Of the version that serves; null for one that is behind by intention, since it is being built.</param>
/// <param name="time">The clock.</param>
internal sealed class LogFollower(
    LogReader logs, OrderSummaries summaries, SalesFigures sales, RefusedEvents refused, ReportingMetrics? metrics, TimeProvider time)
{
    /// <summary>Takes one page of every lane. A publisher that does not answer keeps none of the others waiting.</summary>
    /// <returns>True when every lane was read to its end.</returns>
    /// <exception cref="Exception">A publisher did not answer, or not in time; what the others gave is applied.</exception>
    public async Task<bool> AdvanceAsync(CancellationToken cancellationToken)
    {
        var positions = (await sales.ReadLanesAsync(cancellationToken)).ToDictionary(lane => lane.Lane, lane => lane.Tally.Position);
        var (read, failure) = await logs.ReadNextAsync(positions, cancellationToken);
        PageOfLane[] pages = [.. read.Where(page => page.To > page.From)];
        if (pages.Any(page => !positions.ContainsKey(page.Lane)))
            await sales.OpenAsync([.. pages.Select(page => page.Lane)], cancellationToken);

        // What was read and cannot be applied is not in the read models.
        TellHowFar(read, page => page.From);
        var isThrough = pages.Length == 0 || await ApplyAsync(pages, cancellationToken);
        TellHowFar(read, page => page.To);
        return failure is null ? isThrough : throw failure;
    }

    private void TellHowFar(IReadOnlyCollection<PageOfLane> pages, Func<PageOfLane, long> position)
    {
        foreach (var publisher in pages.GroupBy(page => page.Lane.Publisher))
            metrics?.Behind(publisher.Key, publisher.Sum(page => Math.Max(0, page.Settled - position(page))));
    }

    private void TellHowLate(IEnumerable<PageOfLane> pages)
    {
        foreach (var incoming in pages.SelectMany(page => page.Events))
            metrics?.Applied(time.GetUtcNow() - incoming.Recorded.OccurredAt);
    }

    private async Task<bool> ApplyAsync(PageOfLane[] pages, CancellationToken cancellationToken)
    {
        using var projection = EventTraces.Start("project", ActivityKind.Consumer, pages.SelectMany(page => page.Events).Select(incoming => incoming.Recorded));
        var applied = await ApplyAsync([.. pages.SelectMany(page => page.Events)], cancellationToken);
        var (moves, failure) = await MovesAsync(pages, applied, cancellationToken);
        var notMoved = (await sales.MoveAsync(moves, isOneCommit: false, cancellationToken)).Select(move => move.Lane).ToList();
        foreach (var page in pages.Where(page => notMoved.Contains(page.Lane)))
            await CountCommitByCommitAsync(page, applied, cancellationToken);
        failure?.Throw();
        TellHowLate(pages);
        return notMoved.Count == 0 && pages.All(page => page.To >= page.Settled);
    }

    /// <summary>The summaries, with those of the events that are in them.</summary>
    private async Task<AppliedEvents> ApplyAsync(IReadOnlyList<IncomingEvent> events, CancellationToken cancellationToken)
    {
        try
        {
            return new AppliedEvents(await summaries.ApplyAsync(events, cancellationToken), []);
        }
        catch (Exception exception) when (!RefusedEvents.IsBadTimes(exception))
        {
            return await ApplyOneByOneAsync(events, cancellationToken);
        }
    }

    // So that one bad event keeps no other from its order's summary. Until it is given up, the page is read again.
    private async Task<AppliedEvents> ApplyOneByOneAsync(IReadOnlyList<IncomingEvent> events, CancellationToken cancellationToken)
    {
        var orders = new Dictionary<string, OrderSummary>();
        var givenUp = new HashSet<string>();
        Exception? open = null;
        foreach (var incoming in events.OrderBy(incoming => incoming.Recorded.Version))
        {
            try
            {
                foreach (var (orderId, summary) in await summaries.ApplyAsync([incoming], cancellationToken))
                    orders[orderId] = summary;
            }
            catch (Exception exception) when (!RefusedEvents.IsBadTimes(exception))
            {
                if (await IsGivenUpAsync(incoming, exception, cancellationToken))
                    givenUp.Add(incoming.Recorded.Id);
                else
                    open = exception;
            }
        }

        return open is null ? new AppliedEvents(orders, givenUp) : throw open;
    }

    // A page with an event that cannot be counted, and is not given up yet, keeps none of the others waiting.
    private async Task<(IReadOnlyCollection<LaneMove> Moves, ExceptionDispatchInfo? Failure)> MovesAsync(
        IEnumerable<PageOfLane> pages, AppliedEvents applied, CancellationToken cancellationToken)
    {
        var moves = new List<LaneMove>();
        ExceptionDispatchInfo? failure = null;
        foreach (var page in pages)
        {
            var change = new SalesChange();
            try
            {
                if (page.Lane.Publisher == SourceEvents.Sales)
                {
                    foreach (var incoming in page.Events.Where(incoming => !applied.GivenUp.Contains(incoming.Recorded.Id)))
                        await AddAsync(change, incoming, applied, cancellationToken);
                }

                moves.Add(new LaneMove(page.Lane, page.From, page.To, page.EventsRead, change));
            }
            catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
            {
                failure = ExceptionDispatchInfo.Capture(exception);
            }
        }

        return (moves, failure);
    }

    private async Task AddAsync(SalesChange change, IncomingEvent incoming, AppliedEvents applied, CancellationToken cancellationToken)
    {
        try
        {
            change.Add(incoming.Recorded, applied.Orders[SourceEvents.OrderIdOf(incoming)]);
        }
        catch (Exception exception)
        {
            if (!await IsGivenUpAsync(incoming, exception, cancellationToken))
                throw;
        }
    }

    /// <summary>A crash, or another instance, left parts of the aggregates in the middle of the page: their positions are those of commits.</summary>
    private async Task CountCommitByCommitAsync(PageOfLane page, AppliedEvents applied, CancellationToken cancellationToken)
    {
        for (var from = page.From; from < page.To;)
        {
            var commit = await logs.ReadAsync(page.Lane, from, 1, cancellationToken);
            if (commit.To > page.To)
                return;
            var (moves, failure) = await MovesAsync([commit], applied, cancellationToken);
            failure?.Throw();
            await sales.MoveAsync(moves, isOneCommit: true, cancellationToken);
            from = commit.To;
        }
    }

    private Task<bool> IsGivenUpAsync(IncomingEvent incoming, Exception exception, CancellationToken cancellationToken) =>
        refused.IsGivenUpAsync(incoming.Publisher, SourceEvents.TopicOf(incoming.Publisher), incoming.Recorded, exception, cancellationToken);

    /// <param name="GivenUp">Ids of events that are dead letters.</param>
    private sealed record AppliedEvents(IReadOnlyDictionary<string, OrderSummary> Orders, HashSet<string> GivenUp);
}
