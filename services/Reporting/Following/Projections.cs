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
    RefusedEvents refused)
{
    public async Task<OrderSummaries> ServingOrdersAsync(CancellationToken cancellationToken) => Orders(await versions.ServingAsync(cancellationToken));

    public async Task<SalesFigures> ServingSalesAsync(CancellationToken cancellationToken) => Sales(await versions.ServingAsync(cancellationToken));

    public OrderSummaries Orders(long version) => new(documents, streams, types, version);

    public SalesFigures Sales(long version) => new(documents, version);

    public LogFollower Follower(long version) => new(logs, Orders(version), Sales(version), refused);

    public async Task RemoveAsync(long version, CancellationToken cancellationToken)
    {
        var sales = Sales(version);
        await Orders(version).RemoveAsync(orders => sales.RemoveDaysAsync(orders, cancellationToken), cancellationToken);
        await sales.RemoveAsync(cancellationToken);
    }
}
