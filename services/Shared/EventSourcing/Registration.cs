using System.Diagnostics.Metrics;
using DaprOrders.EventSourcing.Metrics;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.EventSourcing.Publishing;
using DaprOrders.EventSourcing.State;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace DaprOrders.EventSourcing;

public static class Registration
{
    /// <summary>
    /// The event store (singleton <see cref="EventStore"/>), its relay and its adoption of lanes left behind. Needs a registered DaprClient.
    /// Settings: sections <c>Dapr</c> (AppId, StateStore, PubSub) and <c>EventStore</c> (the properties of <see cref="EventStoreOptions"/>).
    /// </summary>
    /// <param name="types">Registers every event type that this service writes or reads.</param>
    public static IServiceCollection AddEventStore(this IServiceCollection services, Action<EventTypes> types)
    {
        services.AddProjections(types);
        services.AddSingleton(provider => Options(provider.GetRequiredService<IConfiguration>()));
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<IStateApi, DaprStateApi>();
        services.TryAddSingleton(provider => EventSigning.From(provider.GetRequiredService<IConfiguration>()));
        services.TryAddSingleton<IEventPublisher, DaprEventPublisher>();
        services.AddSingleton<EventStore>();
        services.AddMetrics();
        services.AddHostedService<EventStoreLifetime>();
        return services;
    }

    private static EventStoreOptions Options(IConfiguration configuration)
    {
        var defaults = new EventStoreOptions
        {
            AppId = configuration["Dapr:AppId"] ?? configuration["APP_ID"] ?? "app",
            StateStore = configuration["Dapr:StateStore"] ?? "statestore",
            PubSub = configuration["Dapr:PubSub"] ?? "pubsub",
            Instance = InstanceName.Of(configuration),
        };
        configuration.GetSection("EventStore").Bind(defaults);
        return defaults.MaxBatch >= 1
            ? defaults
            : throw new InvalidOperationException(
                $"EventStore:MaxBatch is {defaults.MaxBatch}; expected the number of streams in one commit, 1 or more (1 switches group commit off).");
    }

    // A store that cannot work here (no ETags, no such component) ends the host: better than a service that never becomes ready.
    private sealed class EventStoreLifetime(EventStore store, IMeterFactory meters) : BackgroundService
    {
        protected override Task ExecuteAsync(CancellationToken stoppingToken)
        {
            StoreGauges.Observe(store, meters);
            return store.RunAsync();
        }

        public override async Task StopAsync(CancellationToken cancellationToken)
        {
            await store.StopAsync(cancellationToken);
            await base.StopAsync(cancellationToken);
        }
    }
}
