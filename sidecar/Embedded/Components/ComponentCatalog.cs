using System.Text;
using EmbeddedSidecar.Components.Secrets;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar.Components;

/// <summary>
/// The component instances of the process. The same resource with the same metadata is one instance, whichever sidecar asks for it, so an
/// in-memory broker or store spans applications. Instances live until <see cref="TakeUnusedAsync"/> finds them without a user, or the catalog is disposed.
/// </summary>
internal sealed class ComponentCatalog(ILoggerFactory loggerFactory, TimeProvider time) : IAsyncDisposable
{
    private static readonly TimeSpan DefaultInitTimeout = TimeSpan.FromSeconds(5);

    private readonly ILogger _logger = loggerFactory.CreateLogger<ComponentCatalog>();
    private readonly SemaphoreSlim _creating = new(1, 1);
    private readonly Dictionary<string, IAsyncDisposable> _instances = [];

    /// <summary>The components that an application may see, secret stores first, since the others may need them.</summary>
    /// <param name="resources">What its folders declare.</param>
    /// <param name="appId">Of the application.</param>
    /// <param name="namespace">Of the application.</param>
    /// <param name="folder">Where relative paths in metadata start.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <exception cref="ResourceException">A mistake in a resource, or a component that cannot be initialised and is not to be ignored.</exception>
    public async Task<IReadOnlyList<LoadedComponent>> LoadAsync(
        IReadOnlyList<ComponentResource> resources,
        string appId,
        string @namespace,
        string folder,
        CancellationToken cancellationToken)
    {
        var visible = resources.Where(resource => resource.Scopes.Include(appId)).ToList();
        if (visible.GroupBy(resource => resource.Name).FirstOrDefault(group => group.Count() > 1) is { } twins)
        {
            throw new ResourceException(
                twins.Last().NameLocation,
                $"component '{twins.Key}' is also declared at {twins.First().NameLocation}; two components of one name are not possible, rename one");
        }

        var templates = new MetadataTemplates(appId, @namespace);
        var loaded = new List<LoadedComponent>(visible.Count);
        foreach (var resource in visible.OrderBy(resource => resource.Type.StartsWith("secretstores.", StringComparison.Ordinal) ? 0 : 1))
        {
            try
            {
                loaded.Add(await LoadAsync(resource, templates, folder, loaded, cancellationToken));
            }
            catch (Exception e) when (resource.IgnoreErrors && !cancellationToken.IsCancellationRequested)
            {
                _logger.LogError(e, "Component {Component} ({Type}) is left out, as ignoreErrors asks for it", resource.Name, resource.Type);
            }
        }

        return loaded;
    }

    /// <summary>Those that are not in use: from now on the caller's to close, and made anew when somebody asks for the like.</summary>
    public async Task<IReadOnlyList<IAsyncDisposable>> TakeUnusedAsync(IReadOnlySet<IAsyncDisposable> inUse)
    {
        await _creating.WaitAsync();
        try
        {
            var unused = _instances.Where(one => !inUse.Contains(one.Value)).ToList();
            foreach (var (identity, _) in unused)
                _instances.Remove(identity);
            return [.. unused.Select(one => one.Value)];
        }
        finally
        {
            _creating.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var instance in _instances.Values)
            await instance.DisposeAsync();

        _instances.Clear();
        _creating.Dispose();
    }

    private async Task<LoadedComponent> LoadAsync(
        ComponentResource resource,
        MetadataTemplates templates,
        string folder,
        IReadOnlyList<LoadedComponent> loaded,
        CancellationToken cancellationToken)
    {
        ResourceException.ThrowIfAny(ComponentTypes.Refusals(resource));
        var type = ComponentTypes.Find(resource.Type, resource.Version)!;
        var values = new List<MetadataValue>(resource.Metadata.Count);
        foreach (var item in resource.Metadata)
        {
            var value = templates.Expand(await SecretReferences.ResolveAsync(item, resource.SecretStore, loaded, cancellationToken));
            if (type.Paths.Contains(item.Name, StringComparer.OrdinalIgnoreCase))
                value = FilePaths.Resolve(value, folder);
            values.Add(new MetadataValue(
                item.Name, value, item.Location, IsSecret: item.Secret is not null || item.EnvironmentVariable is not null));
        }

        var metadata = new ComponentMetadata(resource, values);
        return new LoadedComponent(resource, metadata, await GetOrCreateAsync(type, resource, metadata, cancellationToken));
    }

    private async Task<IAsyncDisposable> GetOrCreateAsync(
        ComponentType type,
        ComponentResource resource,
        ComponentMetadata metadata,
        CancellationToken cancellationToken)
    {
        var identity = Identity(type, resource, metadata);
        await _creating.WaitAsync(cancellationToken);
        try
        {
            if (_instances.TryGetValue(identity, out var instance))
                return instance;

            foreach (var warning in ComponentTypes.Check(resource))
                _logger.LogWarning("{Warning}", warning);
            using var timeout = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var limit = resource.InitTimeout ?? DefaultInitTimeout;
            timeout.CancelAfter(limit);
            try
            {
                instance = await type.Create(metadata, new ComponentContext(resource.Name, time, loggerFactory), timeout.Token);
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw NotStarted($"was not ready within {GoDuration.Format(limit)}; is its server up? More time is given by spec.initTimeout", e);
            }
            catch (Exception e) when (e is not ResourceException and not OperationCanceledException)
            {
                throw NotStarted($"cannot start: {e.Message}", e);
            }

            _instances.Add(identity, instance);
            return instance;
        }
        finally
        {
            _creating.Release();
        }

        ResourceException NotStarted(string what, Exception inner)
        {
            var (field, server) = metadata.Server(type.ServerFields);
            return new(
                field is null ? resource.TypeLocation : metadata.LocationOf(field),
                $"component {resource.Name} ({resource.Type}) {what}{(field is null ? "" : $" ({field}: {server})")}",
                inner);
        }
    }

    /// <summary>The file counts, not the line: what is written above a component does not change it.</summary>
    private static string Identity(ComponentType type, ComponentResource resource, ComponentMetadata metadata)
    {
        var identity = new StringBuilder().AppendJoin('\n', resource.Name, resource.Type, resource.Version, resource.Location.File);
        var made = metadata.Values.Where(value => !type.OfEachSidecar.Contains(value.Name, StringComparer.OrdinalIgnoreCase));
        foreach (var value in made.OrderBy(value => value.Name, StringComparer.OrdinalIgnoreCase))
            identity.Append('\n').Append(value.Name).Append('=').Append(value.Value);

        return identity.ToString();
    }
}
