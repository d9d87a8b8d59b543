using DaprOrders.Sidecar.Components;
using DaprOrders.Sidecar.Components.State;
using DaprOrders.Sidecar.Hosting;
using DaprOrders.Sidecar.Resources;

namespace DaprOrders.Sidecar.Api.State;

/// <summary>A state store as one application sees it: keys get the application's prefix (pkg/components/state/state_config.go).</summary>
public sealed class StateStoreComponent
{
    private const string Separator = "||";

    private readonly string _prefix;

    public StateStoreComponent(LoadedComponent component, SidecarOptions app)
    {
        Component = component;
        Store = (IStateStore)component.Instance;
        var strategy = component.Metadata.Text(StateStoreFields.KeyPrefix, "appid").ToLowerInvariant();
        if (strategy.Contains(Separator, StringComparison.Ordinal))
        {
            throw new ResourceException(
                component.Metadata.LocationOf(StateStoreFields.KeyPrefix), $"component {component.Name}: keyPrefix '{strategy}' may not contain '{Separator}'");
        }

        _prefix = strategy switch
        {
            "none" => "",
            "name" => component.Name + Separator,
            "appid" => app.AppId + Separator,
            "namespace" => $"{app.Namespace}.{app.AppId}{Separator}",
            _ => strategy + Separator,
        };
    }

    public LoadedComponent Component { get; }

    public string Name => Component.Name;

    public IStateStore Store { get; }

    public bool IsTransactional => Store.Capabilities.Contains("TRANSACTIONAL");

    public bool IsActorStore => ComponentMetadata.IsTruthy(Component.Metadata.Text(StateStoreFields.ActorStateStore, "false"));

    /// <summary>The key as the store knows it.</summary>
    /// <exception cref="ApiException">The key contains <c>||</c>.</exception>
    public string FullKey(string key) =>
        key.Contains(Separator, StringComparison.Ordinal) ? throw StateErrors.IllegalKey(Name, key) : _prefix + key;
}
