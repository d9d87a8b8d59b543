using EmbeddedSidecar.Components.Bindings.Cron;
using EmbeddedSidecar.Components.Bindings.Http;
using EmbeddedSidecar.Components.Bindings.LocalStorage;
using EmbeddedSidecar.Components.Bindings.PostgreSql;
using EmbeddedSidecar.Components.Bindings.Redis;
using EmbeddedSidecar.Components.Configuration.Redis;
using EmbeddedSidecar.Components.Locks.Redis;
using EmbeddedSidecar.Components.PubSub.InMemory;
using EmbeddedSidecar.Components.PubSub.JetStream;
using EmbeddedSidecar.Components.PubSub.Kafka;
using EmbeddedSidecar.Components.PubSub.RabbitMq;
using EmbeddedSidecar.Components.PubSub.Redis;
using EmbeddedSidecar.Components.PubSub.Sqlite;
using EmbeddedSidecar.Components.Secrets.LocalEnv;
using EmbeddedSidecar.Components.Secrets.LocalFile;
using EmbeddedSidecar.Components.State.InMemory;
using EmbeddedSidecar.Components.State.PostgreSql;
using EmbeddedSidecar.Components.State.Redis;
using EmbeddedSidecar.Components.State.Sqlite;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Components;

/// <summary>Every component type of the sidecar: one line each.</summary>
internal static class ComponentTypes
{
    public static IReadOnlyList<ComponentType> All { get; } =
    [
        LocalFileSecretStore.ComponentType,
        LocalEnvSecretStore.ComponentType,
        CronSchedule.ComponentType,
        HttpBinding.ComponentType,
        LocalStorageBinding.ComponentType,
        PostgresBinding.ComponentType,
        RedisBinding.ComponentType,
        RedisConfigurationStore.ComponentType,
        RedisLockStore.ComponentType,
        InMemoryStateStore.ComponentType,
        SqliteStateStore.ComponentType,
        RedisStateStore.ComponentType,
        PostgresStateStore.Version1,
        PostgresStateStore.Version2,
        InMemoryPubSub.ComponentType,
        JetStreamPubSub.ComponentType,
        KafkaPubSub.ComponentType,
        RabbitMqPubSub.ComponentType,
        RedisPubSub.ComponentType,
        SqlitePubSub.ComponentType,
    ];

    /// <summary>
    /// As daprd's registries: v1 is also what has no version and v0, and behind the kind of component (the part before the dot) case does not count.
    /// </summary>
    public static ComponentType? Find(string name, string version)
    {
        version = version.ToUpperInvariant() is "" or "V0" ? "v1" : version;
        var kind = name[..(name.IndexOf('.', StringComparison.Ordinal) + 1)];
        return All.FirstOrDefault(type =>
            type.Name.Equals(name, StringComparison.OrdinalIgnoreCase) && type.Name.StartsWith(kind, StringComparison.Ordinal)
            && type.Version.Equals(version, StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>
    /// What can be said against a component before its values are known: an unknown type, fields that it must not have here, and those without
    /// an effect.
    /// </summary>
    public static IEnumerable<ResourceError> Check(ComponentResource resource)
    {
        var without = resource.IgnoreErrors ? "; it is left out, as its ignoreErrors asks" : "";
        return Refusals(resource) is { Count: > 0 } refusals
            ? refusals.Select(refusal => refusal with { Message = refusal.Message + without, IsWarning = resource.IgnoreErrors })
            : Find(resource.Type, resource.Version)!.WithoutEffect(resource);
    }

    /// <summary>Why the component cannot be created.</summary>
    public static IReadOnlyList<ResourceError> Refusals(ComponentResource resource)
    {
        if (Find(resource.Type, resource.Version) is not { } type)
        {
            var known = string.Join(", ", All.Select(t => $"{t.Name} {t.Version}"));
            return [new(resource.TypeLocation, $"component {resource.Name}: type '{resource.Type}' version '{resource.Version}' is not known here; known are {known}")];
        }

        return [.. resource.Metadata.Where(item => type.Refused.Contains(item.Name, StringComparer.OrdinalIgnoreCase)).Select(item => new ResourceError(
            item.Location,
            $"component {resource.Name}: the embedded sidecar does not encrypt values, which '{item.Name}' asks for: it would keep them in clear; "
            + "leave the field out where they may be, or run this component with daprd"))];
    }

    /// <summary>Daprd passes over what no component of this type has; some that it has are not here.</summary>
    private static IEnumerable<ResourceError> WithoutEffect(this ComponentType type, ComponentResource resource) => resource.Metadata
        .Where(item => !type.Fields.Contains(item.Name, StringComparer.OrdinalIgnoreCase))
        .Select(item => new ResourceError(
            item.Location,
            type.Absent.Contains(item.Name, StringComparer.OrdinalIgnoreCase)
                ? $"component {resource.Name}: the embedded sidecar does not act on '{item.Name}' of {resource.Type}, as Dapr does"
                : $"component {resource.Name}: {resource.Type} has no metadata field '{item.Name}', and Dapr passes over it; it knows {string.Join(", ", type.Fields)}")
        {
            IsWarning = true,
        });
}
