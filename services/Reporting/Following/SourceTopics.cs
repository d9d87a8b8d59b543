using DaprOrders.EventSourcing;
using DaprOrders.Reporting.Orders;
using DaprOrders.ServiceDefaults.Topics;

namespace DaprOrders.Reporting.Following;

internal static class SourceTopics
{
    /// <summary>
    /// A topic only tells that there is something to read: one way in, the publishers' event logs. That of the orders is enough for it; the others are
    /// here for their dead letters. What could not be read there is healed by reading the logs anew.
    /// </summary>
    public static void MapSources(this WebApplication app)
    {
        var (wakeUp, versions) = (app.Services.GetRequiredService<Wakeup>(), app.Services.GetRequiredService<ProjectionVersions>());
        foreach (var (publisher, topic) in SourceEvents.Sources)
        {
            if (publisher == SourceEvents.Sales)
                app.MapWakeUp(topic, publisher, wakeUp.Set, RebuildAsync);
            else
                app.MapReadInLog(topic, publisher, RebuildAsync);
        }

        async Task RebuildAsync(CancellationToken cancellationToken)
        {
            await versions.RebuildAsync(cancellationToken);
            wakeUp.Set();
        }
    }
}
