using EmbeddedSidecar.Components.Bindings;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Components;

/// <summary>
/// A kind of component that the sidecar can create, for instance <c>state.sqlite</c> <c>v1</c>. <c>Fields</c> are the metadata fields that it
/// knows, compared without case: any other one is told, so that a typing mistake does not become a default in silence.
/// </summary>
internal sealed record ComponentType(string Name, string Version, IReadOnlyList<string> Fields, ComponentFactory Create)
{
    /// <summary>Fields that Dapr's component acts on and this one does not: a file with them is not as it would be with daprd, which is told.</summary>
    public IReadOnlyList<string> Absent { get; init; } = [];

    /// <summary>Fields without which a component would not do what its file promises: with one of them it is not created.</summary>
    public IReadOnlyList<string> Refused => Name.StartsWith("state.", StringComparison.Ordinal) ? StateStoreFields.Refused : [];

    /// <summary>Those of the fields whose values are paths of files: the factory gets them absolute (<see cref="FilePaths"/>).</summary>
    public IReadOnlyList<string> Paths { get; init; } = [];

    /// <summary>Those of the fields that the instance is not made of, since each sidecar reads them for itself: where only these differ, it is the same one.</summary>
    public IReadOnlyList<string> OfEachSidecar { get; init; } = [];

    /// <summary>Those of the fields that say where the server is: whoever cannot reach it is told by the first of them that is given.</summary>
    public IReadOnlyList<string> ServerFields { get; init; } = [];
}

/// <summary>Creates the instance, ready for work. Mistakes in the metadata are thrown as <see cref="ResourceException"/>.</summary>
internal delegate Task<IAsyncDisposable> ComponentFactory(
    ComponentMetadata metadata,
    ComponentContext context,
    CancellationToken cancellationToken);

/// <summary>What a component gets from its surroundings.</summary>
internal sealed record ComponentContext(string ComponentName, TimeProvider Time, ILoggerFactory LoggerFactory)
{
    public ILogger Logger { get; } = LoggerFactory.CreateLogger($"EmbeddedSidecar.Component.{ComponentName}");
}

/// <summary>An instance under the name that the resource gives it, as one application sees it.</summary>
internal sealed record LoadedComponent(ComponentResource Resource, ComponentMetadata Metadata, IAsyncDisposable Instance)
{
    public string Name => Resource.Name;

    public string Type => Resource.Type;

    private BeforeSidecarCall? Before { get; init; }

    private string AppId { get; init; } = "";

    /// <summary>The same, with its operations shown before they are done: by itself, or by whoever calls it (<see cref="ShowAsync"/>).</summary>
    public LoadedComponent Watched(string appId, BeforeSidecarCall before) => Instance switch
    {
        IStateStore store => this with { Instance = new WatchedStateStore(store, Name, appId, before) },
        IOutputBinding binding => this with { Instance = new WatchedOutputBinding(binding, Name, appId, before) },
        IPubSub broker => this with { Instance = WatchedPubSub.Over(broker, Name, appId, before) },
        _ => this with { AppId = appId, Before = before },
    };

    /// <summary>To be called before each operation of a store of secrets, of configuration or of locks.</summary>
    /// <exception cref="ComponentFailedException">What was thrown there is a failure of the component.</exception>
    public async ValueTask ShowAsync(string operation, IReadOnlyList<string> subjects, CancellationToken cancellationToken)
    {
        if (Before is null)
            return;
        try
        {
            await Before(new SidecarCall(AppId, Name, operation, subjects, []), cancellationToken);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            throw new ComponentFailedException(e.Message, e);
        }
    }
}

internal sealed class ComponentFailedException(string message, Exception inner) : Exception(message, inner);
