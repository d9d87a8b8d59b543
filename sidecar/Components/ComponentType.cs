using DaprOrders.Sidecar.Resources;

namespace DaprOrders.Sidecar.Components;

/// <summary>
/// A kind of component that the sidecar can create, for instance <c>state.sqlite</c> <c>v1</c>. <c>Fields</c> are the metadata fields that it
/// knows, compared without case: any other one is told, so that a typing mistake does not become a default in silence.
/// </summary>
public sealed record ComponentType(string Name, string Version, IReadOnlyList<string> Fields, ComponentFactory Create)
{
    /// <summary>Those of the fields whose values are paths of files: the factory gets them absolute (<see cref="FilePaths"/>).</summary>
    public IReadOnlyList<string> Paths { get; init; } = [];
}

/// <summary>Creates the instance, ready for work. Mistakes in the metadata are thrown as <see cref="ResourceException"/>.</summary>
public delegate Task<IAsyncDisposable> ComponentFactory(
    ComponentMetadata metadata,
    ComponentContext context,
    CancellationToken cancellationToken);

/// <summary>What a component gets from its surroundings.</summary>
public sealed record ComponentContext(string ComponentName, TimeProvider Time, ILoggerFactory LoggerFactory)
{
    public ILogger Logger { get; } = LoggerFactory.CreateLogger($"DaprOrders.Sidecar.Component.{ComponentName}");
}

/// <summary>An instance under the name that the resource gives it, as one application sees it.</summary>
public sealed record LoadedComponent(ComponentResource Resource, ComponentMetadata Metadata, IAsyncDisposable Instance)
{
    public string Name => Resource.Name;

    public string Type => Resource.Type;
}
