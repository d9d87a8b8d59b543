using DaprOrders.EventSourcing;
using DaprOrders.Reporting.Orders;
using DaprOrders.Reporting.Sales;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.Topics;

namespace DaprOrders.Reporting.Following;

/// <summary>The orders' events of a lane between two positions.</summary>
/// <param name="Settled">How far the lane is filled.</param>
/// <param name="EventsRead">Those of others, too.</param>
internal sealed record PageOfLane(Lane Lane, long From, long To, long Settled, int EventsRead, IReadOnlyList<IncomingEvent> Events);

/// <summary>Reads the publishers' event logs. What nobody here can read is told, or becomes a dead letter, and is passed.</summary>
internal sealed class LogReader(
    PublisherLanes publisherLanes,
    IPublisherLogs publisherLogs,
    EventTypes types,
    UnknownTypes unknown,
    RefusedEvents refused,
    ILogger<LogReader> logger)
{
    private const int EventsInPage = 1000;

    /// <summary>One page of every lane, an empty one where it has no more than the position says.</summary>
    /// <returns>The failure is that of a publisher which did not answer, or not in time.</returns>
    public async Task<(IReadOnlyList<PageOfLane> Pages, Exception? Failure)> ReadNextAsync(
        IReadOnlyDictionary<Lane, long> positions, CancellationToken cancellationToken)
    {
        var asked = await Task.WhenAll(SourceEvents.Sources.Select(source => ReadPublisherAsync(source.Publisher, positions, cancellationToken)));
        return (
            [.. asked.SelectMany(publisher => publisher.Pages)],
            asked.Select(publisher => publisher.Failure).FirstOrDefault(failure => failure is not null));
    }

    /// <summary>The commits of a lane behind a position, at most as many as the limit.</summary>
    public async Task<PageOfLane> ReadAsync(Lane lane, long from, int limit, CancellationToken cancellationToken)
    {
        var page = await publisherLogs.ReadLaneAsync(lane.Publisher, lane.Name, from, limit, cancellationToken);
        LostHistory.Tell(lane.Publisher, lane.Name, page.Lost, logger);
        var events = new List<IncomingEvent>(page.Events.Count);
        foreach (var recorded in page.Events.Where(SourceEvents.IsOfOrder))
        {
            try
            {
                var incoming = IncomingEvent.Of(lane.Publisher, recorded, types);
                if (incoming.IsKnown)
                    events.Add(incoming);
                else
                    unknown.Tell(SourceEvents.TopicOf(lane.Publisher), recorded.Type);
            }
            catch (UnknownEventException exception)
            {
                // Hopeless, so given up at once.
                await refused.IsGivenUpAsync(lane.Publisher, SourceEvents.TopicOf(lane.Publisher), recorded, exception, cancellationToken);
            }
        }

        return new PageOfLane(lane, from, page.Next, page.Settled, page.Events.Count, events);
    }

    private async Task<(IReadOnlyList<PageOfLane> Pages, Exception? Failure)> ReadPublisherAsync(
        string publisher, IReadOnlyDictionary<Lane, long> positions, CancellationToken cancellationToken)
    {
        try
        {
            var lanes = await publisherLanes.ReadAsync(publisher, cancellationToken);
            return (await Task.WhenAll(lanes.Select(name => new Lane(publisher, name)).Select(
                lane => ReadAsync(lane, positions.GetValueOrDefault(lane), EventsInPage, cancellationToken))), null);
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return ([], exception);
        }
    }
}
