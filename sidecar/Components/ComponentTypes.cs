using DaprOrders.Sidecar.Components.Secrets.LocalEnv;
using DaprOrders.Sidecar.Components.Secrets.LocalFile;
using DaprOrders.Sidecar.Components.State.InMemory;
using DaprOrders.Sidecar.Components.State.Sqlite;

namespace DaprOrders.Sidecar.Components;

/// <summary>Every component type of the sidecar: one line each.</summary>
public static class ComponentTypes
{
    public static IReadOnlyList<ComponentType> All { get; } =
    [
        LocalFileSecretStore.ComponentType,
        LocalEnvSecretStore.ComponentType,
        InMemoryStateStore.ComponentType,
        SqliteStateStore.ComponentType,
    ];

    public static ComponentType? Find(string name, string version) =>
        All.FirstOrDefault(type => type.Name == name && type.Version == version);
}
