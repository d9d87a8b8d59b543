using DaprOrders.EventSourcing.Consuming;
using DaprOrders.EventSourcing.State;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace DaprOrders.EventSourcing.Projections;

public static class Registration
{
    /// <summary>
    /// For a service that keeps read models and no streams: the event types that it reads, and the way to its publishers' streams and
    /// logs. Needs a registered DaprClient.
    /// </summary>
    public static IServiceCollection AddProjections(this IServiceCollection services, Action<EventTypes> types)
    {
        var registered = new EventTypes();
        types(registered);
        services.AddSingleton(registered);
        services.TryAddSingleton<IBulkStateReads>(provider => GrpcBulkStateReads.OfSidecar(provider.GetRequiredService<IConfiguration>()));
        services.TryAddSingleton<IPublisherStreams, InvokedPublisherStreams>();
        services.TryAddSingleton<IPublisherLogs, InvokedPublisherLogs>();
        services.TryAddSingleton<PublisherLanes>();
        return services;
    }
}
