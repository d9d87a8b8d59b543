using DaprOrders.Sidecar.Components.Bindings.Cron;
using DaprOrders.Sidecar.Components.PubSub.InMemory;
using DaprOrders.Sidecar.Components.PubSub.RabbitMq;
using DaprOrders.Sidecar.Components.PubSub.Redis;
using DaprOrders.Sidecar.Components.PubSub.Sqlite;
using DaprOrders.Sidecar.Components.Secrets.LocalEnv;
using DaprOrders.Sidecar.Components.Secrets.LocalFile;
using DaprOrders.Sidecar.Components.State.InMemory;
using DaprOrders.Sidecar.Components.State.PostgreSql;
using DaprOrders.Sidecar.Components.State.Redis;
using DaprOrders.Sidecar.Components.State.Sqlite;
using DaprOrders.Sidecar.Resources;

namespace DaprOrders.Sidecar.Components;

/// <summary>Every component type of the sidecar: one line each.</summary>
public static class ComponentTypes
{
    public static IReadOnlyList<ComponentType> All { get; } =
    [
        LocalFileSecretStore.ComponentType,
        LocalEnvSecretStore.ComponentType,
        CronSchedule.ComponentType,
        InMemoryStateStore.ComponentType,
        SqliteStateStore.ComponentType,
        RedisStateStore.ComponentType,
        PostgresStateStore.ComponentType,
        InMemoryPubSub.ComponentType,
        RabbitMqPubSub.ComponentType,
        RedisPubSub.ComponentType,
        SqlitePubSub.ComponentType,
    ];

    public static ComponentType? Find(string name, string version) =>
        All.FirstOrDefault(type => type.Name == name && type.Version == version);

    /// <summary>What can be said against a component before its values are known: an unknown type, unknown fields.</summary>
    public static IEnumerable<ResourceError> Check(ComponentResource resource)
    {
        if (Find(resource.Type, resource.Version) is not { } type)
        {
            var known = string.Join(", ", All.Select(t => $"{t.Name} {t.Version}"));
            return [new(resource.Location, $"component {resource.Name}: type '{resource.Type}' version '{resource.Version}' is not known here; known are {known}")];
        }

        return resource.Metadata.Where(item => !type.Fields.Contains(item.Name, StringComparer.OrdinalIgnoreCase)).Select(item => new ResourceError(
            item.Location,
            $"component {resource.Name}: {resource.Type} has no metadata field '{item.Name}'; it knows {string.Join(", ", type.Fields)}"));
    }
}
