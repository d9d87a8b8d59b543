using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.Reporting.Orders;
using DaprOrders.Reporting.Sales;
using DaprOrders.ServiceDefaults.CatchUp;

namespace DaprOrders.Reporting.Following;

/// <summary>The read models, by version; and what keeps them up to date.</summary>
internal sealed class Projections(
    Documents documents,
    IPublisherStreams streams,
    LogReader logs,
    EventTypes types,
    ProjectionVersions versions,
    RefusedEvents refused,
    ReportingMetrics metrics,
    TimeProvider time)
{
    public async Task<OrderSummaries> ServingOrdersAsync(CancellationToken cancellationToken) => Orders(await versions.ServingAsync(cancellationToken));

    public async Task<SalesFigures> ServingSalesAsync(CancellationToken cancellationToken) => Sales(await versions.ServingAsync(cancellationToken));

    public OrderSummaries Orders(long version) => new(documents, streams, types, version);

    public SalesFigures Sales(long version) => new(documents, version);

    /// <param name="version">Of the read models.</param>
    /// <param name="isServing">A version that is only being built is behind by intention.</param>
    public LogFollower Follower(long version, bool isServing) => new(logs, Orders(version), Sales(version), refused, isServing ? metrics : null, time);

    public async Task RemoveAsync(long version, CancellationToken cancellationToken)
    {
        var sales = Sales(version);
        await Orders(version).RemoveAsync(orders => sales.RemoveDaysAsync(orders, cancellationToken), cancellationToken);
        await sales.RemoveAsync(cancellationToken);
    }
}
