using EmbeddedSidecar.Components;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resources;
using Microsoft.Extensions.Logging.Abstractions;

namespace EmbeddedSidecar;

/// <summary>What to start: the sidecars, and where logs go.</summary>
public sealed record EmbeddedDaprOptions
{
    /// <summary>One sidecar each; an app id that comes twice is two replicas.</summary>
    public required IReadOnlyList<SidecarOptions> Apps { get; init; }

    /// <summary>Folders with resource files for all of the sidecars, beside what each has of its own.</summary>
    public IReadOnlyList<string> ResourcesPaths { get; init; } = [];

    /// <summary>The database that keeps jobs, which no other process may have at the same time; made with the first job. Null: jobs last as long as the process.</summary>
    public string? JobsFile { get; init; }

    /// <summary>Resources for all of the sidecars as YAML, one or several documents, for a test that needs no folder.</summary>
    public string? Resources { get; init; }

    /// <summary>Sees everything that the sidecars do with components and applications, before it is done: for assertions, and to let it fail.</summary>
    public BeforeSidecarCall? BeforeCall { get; init; }

    public ILoggerFactory LoggerFactory { get; init; } = NullLoggerFactory.Instance;

    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>
/// Dapr sidecars inside this process:
/// <code>await using var dapr = await EmbeddedDapr.StartAsync(new EmbeddedDaprOptions { Apps = [new SidecarOptions { AppId = "shop", AppPort = 5000 }] });</code>
/// </summary>
public sealed class EmbeddedDapr : IAsyncDisposable
{
    private readonly SharedParts _shared;
    private readonly ResourceSet _resources;
    private readonly List<SidecarHost> _sidecars = [];

    private EmbeddedDapr(SharedParts shared, ResourceSet resources)
    {
        _shared = shared;
        _resources = resources;
    }

    public IReadOnlyList<SidecarHost> Sidecars => _sidecars;

    /// <summary>Every sidecar has reached and asked its application.</summary>
    public Task Ready => Task.WhenAll(_sidecars.Select(sidecar => sidecar.Ready));

    /// <summary>The (first) sidecar of an application.</summary>
    public SidecarHost this[string appId] =>
        _sidecars.Find(sidecar => sidecar.AppId == appId)
        ?? throw new ArgumentException($"No sidecar of '{appId}' runs here; there are {string.Join(", ", _sidecars.Select(s => s.AppId))}", nameof(appId));

    /// <summary>Returns once the APIs of all sidecars answer; applications may come later (see <see cref="Ready"/>).</summary>
    /// <exception cref="ResourceException">A mistake in a resource.</exception>
    /// <exception cref="IOException">A port is taken, or the file of the jobs.</exception>
    public static async Task<EmbeddedDapr> StartAsync(EmbeddedDaprOptions options, CancellationToken cancellationToken = default)
    {
        var resources = ResourceLoader.Load(options.ResourcesPaths).With(ResourceLoader.Read(options.Resources ?? ""));
        var logger = options.LoggerFactory.CreateLogger<EmbeddedDapr>();
        foreach (var warning in resources.Warnings)
            logger.LogWarning("{Warning}", warning);
        var catalog = new ComponentCatalog(options.LoggerFactory, options.Time);
        var parts = new SharedParts(catalog, new AppDirectory(), options.LoggerFactory, options.Time, options.JobsFile) { BeforeCall = options.BeforeCall };
        var dapr = new EmbeddedDapr(parts, resources);
        try
        {
            dapr._shared.Jobs.Start();
            foreach (var app in options.Apps)
                await dapr.AddAsync(app, cancellationToken);

            return dapr;
        }
        catch
        {
            await dapr.DisposeAsync();
            throw;
        }
    }

    /// <summary>One more sidecar; it shares the components of those that run.</summary>
    public async Task<SidecarHost> AddAsync(SidecarOptions app, CancellationToken cancellationToken = default)
    {
        var read = app with
        {
            Resources = _resources.With(ResourceLoader.Load(app.ResourcesPaths)).With(app.Resources),
            Configuration = app.ConfigPath is { } file ? ResourceLoader.LoadConfiguration(file) : app.Configuration,
        };
        var sidecar = await SidecarHost.StartAsync(read, _shared, cancellationToken);
        _sidecars.Add(sidecar);
        return sidecar;
    }

    /// <summary>Stops one sidecar and forgets it; components stay, for the others.</summary>
    public async Task RemoveAsync(SidecarHost sidecar, CancellationToken cancellationToken = default)
    {
        _sidecars.Remove(sidecar);
        await sidecar.StopAsync(cancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_sidecars.Select(sidecar => sidecar.StopAsync(CancellationToken.None)));
        _sidecars.Clear();
        await _shared.Placement.DisposeAsync();
        await _shared.Jobs.DisposeAsync();
        await _shared.Components.DisposeAsync();
    }
}
