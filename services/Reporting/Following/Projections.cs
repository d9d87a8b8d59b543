using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.Reporting.Orders;
using DaprOrders.Reporting.Sales;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.Topics;

namespace DaprOrders.Reporting.Following;

/// <summary>The read models, by version; and what keeps them up to date.</summary>
internal sealed class Projections(
    Documents documents,
    IPublisherStreams streams,
    PublisherLanes lanes,
    IPublisherLogs logs,
    EventTypes types,
    ProjectionVersions versions,
    UnknownTypes unknown,
    RefusedEvents refused,
    ReportingMetrics metrics,
    TimeProvider time,
    ILogger<LogFollower> logger)
{
    public async Task<OrderSummaries> ServingOrdersAsync(CancellationToken cancellationToken) => Orders(await versions.ServingAsync(cancellationToken));

    public async Task<SalesLedger> ServingSalesAsync(CancellationToken cancellationToken) => Sales(await versions.ServingAsync(cancellationToken));

    public OrderSummaries Orders(long version) => new(documents, streams, types, version);

    public SalesLedger Sales(long version) => new(documents, version);

    /// <param name="isServing">A version that is only being built is behind by intention.</param>
    public LogFollower Follower(long version, bool isServing) => new(lanes, logs, Orders(version), Sales(version), types, unknown, refused, isServing ? metrics : null, time, logger);

    public async Task RemoveAsync(long version, CancellationToken cancellationToken)
    {
        var sales = Sales(version);
        await Orders(version).RemoveAsync(orders => sales.RemoveDaysAsync(orders, cancellationToken), cancellationToken);
        await sales.RemoveAsync(cancellationToken);
    }
}
