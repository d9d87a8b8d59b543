using System.Collections.Immutable;

namespace EmbeddedSidecar.Hosting;

/// <summary>The sidecars of the process by app id: what name resolution and placement are to a daprd. An app id may have replicas.</summary>
internal sealed class AppDirectory
{
    private ImmutableDictionary<string, ImmutableArray<SidecarRuntime>> _apps = ImmutableDictionary<string, ImmutableArray<SidecarRuntime>>.Empty;

    /// <summary>Raised after a sidecar joined or left.</summary>
    public event Action? Changed;

    public IEnumerable<SidecarRuntime> All => _apps.Values.SelectMany(replicas => replicas);

    /// <summary>The replicas of an application; empty when there is none.</summary>
    public ImmutableArray<SidecarRuntime> Find(string appId) => _apps.TryGetValue(appId, out var replicas) ? replicas : [];

    internal void Join(SidecarRuntime runtime)
    {
        ImmutableInterlocked.AddOrUpdate(ref _apps, runtime.Options.AppId, _ => [runtime], (_, replicas) => replicas.Add(runtime));
        Changed?.Invoke();
    }

    internal void Leave(SidecarRuntime runtime)
    {
        ImmutableInterlocked.Update(ref _apps, apps =>
        {
            var rest = apps.GetValueOrDefault(runtime.Options.AppId, []).Remove(runtime);
            return rest.IsEmpty ? apps.Remove(runtime.Options.AppId) : apps.SetItem(runtime.Options.AppId, rest);
        });
        Changed?.Invoke();
    }
}
