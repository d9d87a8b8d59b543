using DaprOrders.EventSourcing;
using DaprOrders.Reporting.Orders;
using DaprOrders.ServiceDefaults.Topics;

namespace DaprOrders.Reporting.Following;

internal static class SourceTopics
{
    /// <summary>
    /// The topics only tell that there is something to read: one way in, the publishers' event logs. What could not be read there is healed by
    /// reading them anew.
    /// </summary>
    public static void MapSources(this WebApplication app)
    {
        var (wakeUp, versions) = (app.Services.GetRequiredService<Wakeup>(), app.Services.GetRequiredService<ProjectionVersions>());
        foreach (var (publisher, topic) in SourceEvents.Sources)
            app.MapWakeUp(topic, publisher, wakeUp.Set, RebuildAsync);

        async Task RebuildAsync(CancellationToken cancellationToken)
        {
            await versions.RebuildAsync(cancellationToken);
            wakeUp.Set();
        }
    }
}
