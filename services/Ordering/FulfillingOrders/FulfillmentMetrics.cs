using System.Diagnostics.Metrics;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Orders;

namespace DaprOrders.Ordering.FulfillingOrders;

internal static class FulfillmentMetrics
{
    private static readonly Meter Meter = new("DaprOrders.Ordering");

    private static readonly Histogram<double> TimeToShipped = Meter.CreateHistogram(
        "orders.time_to_shipped", "s", "From when an order was placed until it was shipped.", tags: null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600] });

    public static void Appended(Handled<Order> handled)
    {
        if (handled is { Stream: { State: Order.Shipped, CreatedAt: { } placed }, Appended: [.., var last] })
            TimeToShipped.Record((last.OccurredAt - placed).TotalSeconds);
    }
}
