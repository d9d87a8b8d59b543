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
    /// <summary>Under which is told what became of changed files: somebody has just written them, and waits to hear.</summary>
    internal const string ChangesCategory = "EmbeddedSidecar.Changes";

    /// <summary>How long requests and deliveries may go on with a component that was changed or removed, before it is closed.</summary>
    private static readonly TimeSpan LastUse = TimeSpan.FromSeconds(10);

    private readonly EmbeddedDaprOptions _options;
    private readonly ILogger _logger;
    private readonly ILogger _changes;
    private readonly SharedParts _shared;
    private readonly ResourceWatch _watch;
    private readonly List<SidecarHost> _sidecars = [];

    /// <summary>Sidecars come, go and take changes one after the other.</summary>
    private readonly SemaphoreSlim _changing = new(1, 1);
    private readonly HashSet<ResourceError> _told = [];
    private Task _closing = Task.CompletedTask;

    private EmbeddedDapr(EmbeddedDaprOptions options)
    {
        _options = options;
        _logger = options.LoggerFactory.CreateLogger<EmbeddedDapr>();
        _changes = options.LoggerFactory.CreateLogger(ChangesCategory);
        var catalog = new ComponentCatalog(options.LoggerFactory, options.Time);
        _shared = new SharedParts(catalog, new AppDirectory(), options.LoggerFactory, options.Time, options.JobsFile)
        {
            BeforeCall = options.BeforeCall,
        };
        _watch = new ResourceWatch(TakeChangesAsync, _logger);
    }

    public IReadOnlyList<SidecarHost> Sidecars => _sidecars;

    /// <summary>Every sidecar has reached and asked its application.</summary>
    public Task Ready => Task.WhenAll(_sidecars.Select(sidecar => sidecar.Ready));

    /// <summary>
    /// What is wrong with the files as they were changed while the sidecars run: these go on with what they had, and take the files when they
    /// are mended. Null while nothing is.
    /// </summary>
    public ResourceException? Mistake { get; private set; }

    /// <summary>The (first) sidecar of an application.</summary>
    public SidecarHost this[string appId] =>
        _sidecars.Find(sidecar => sidecar.AppId == appId)
        ?? throw new ArgumentException($"No sidecar of '{appId}' runs here; there are {string.Join(", ", _sidecars.Select(s => s.AppId))}", nameof(appId));

    /// <summary>
    /// Returns once the APIs of all sidecars answer; applications may come later (see <see cref="Ready"/>). Files that change later are followed,
    /// unless a sidecar's Configuration disables the feature HotReload.
    /// </summary>
    /// <exception cref="ResourceException">A mistake in a resource.</exception>
    /// <exception cref="IOException">A port is taken, or the file of the jobs.</exception>
    public static async Task<EmbeddedDapr> StartAsync(EmbeddedDaprOptions options, CancellationToken cancellationToken = default)
    {
        var dapr = new EmbeddedDapr(options);
        try
        {
            // Before anything is read: what changes from now on is seen.
            dapr._watch.Add(options.ResourcesPaths);
            var files = new ReadOnce();
            dapr.TellNew(dapr.ReadShared(files).Warnings, dapr._logger);
            dapr._shared.Jobs.Start();
            foreach (var app in options.Apps)
                await dapr.AddAsync(app, files, cancellationToken);

            return dapr;
        }
        catch
        {
            await dapr.DisposeAsync();
            throw;
        }
    }

    /// <summary>One more sidecar; it shares the components of those that run.</summary>
    public Task<SidecarHost> AddAsync(SidecarOptions app, CancellationToken cancellationToken = default) => AddAsync(app, new ReadOnce(), cancellationToken);

    private async Task<SidecarHost> AddAsync(SidecarOptions app, ReadOnce files, CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            _watch.Add([.. _options.ResourcesPaths, .. app.ResourcesPaths, .. app.ConfigPath is { } file ? [file] : Array.Empty<string>()]);
            var (resources, configuration) = Read(app, files);
            // Of folders of its own whoever names them has heard.
            if (app.ResourcesPaths.Count > 0)
                _told.UnionWith(resources.Warnings);
            TellNew(resources.Warnings, _logger);
            var sidecar = await SidecarHost.StartAsync(app, resources, configuration, _shared, cancellationToken);
            _sidecars.Add(sidecar);
            return sidecar;
        }
        finally
        {
            _changing.Release();
        }
    }

    /// <summary>Stops one sidecar and forgets it; components stay, for the others, until files change.</summary>
    public async Task RemoveAsync(SidecarHost sidecar, CancellationToken cancellationToken = default)
    {
        await _changing.WaitAsync(CancellationToken.None);
        _sidecars.Remove(sidecar);
        _changing.Release();
        await sidecar.StopAsync(cancellationToken);
        await sidecar.SendLastSpansAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await _watch.DisposeAsync();
        await Task.WhenAll(_sidecars.Select(sidecar => sidecar.StopAsync(CancellationToken.None)));
        var sending = Task.WhenAll(_sidecars.Select(sidecar => sidecar.SendLastSpansAsync()));
        _sidecars.Clear();
        await _closing;
        await _shared.Placement.DisposeAsync();
        await _shared.Jobs.DisposeAsync();
        await _shared.Components.DisposeAsync();
        await sending;
        _changing.Dispose();
    }

    private ResourceSet ReadShared(ReadOnce files) => files.Load(_options.ResourcesPaths).With(ResourceLoader.Read(_options.Resources ?? ""));

    private (ResourceSet Resources, ConfigurationResource Configuration) Read(SidecarOptions app, ReadOnce files) => (
        ReadShared(files).With(files.Load(app.ResourcesPaths)).With(app.Resources).For(app),
        app.ConfigPath is { } file ? ResourceLoader.LoadConfiguration(file) : app.Configuration);

    private void TellNew(IEnumerable<ResourceError> warnings, ILogger logger)
    {
        foreach (var warning in warnings.Where(_told.Add))
            logger.LogWarning("{Warning}", warning);
    }

    /// <returns>False where they could not be taken, and are to be tried again.</returns>
    private async Task<bool> TakeChangesAsync(CancellationToken cancellationToken)
    {
        await _changing.WaitAsync(cancellationToken);
        try
        {
            var (mistakes, exchanges) = (new List<ResourceError>(), new List<(LoadedResources Before, Task Following)>());
            var files = new ReadOnce();
            var (isRead, taken) = (true, new SortedSet<string>(StringComparer.Ordinal));
            var running = _sidecars.FindAll(sidecar => !sidecar.Stopped.IsCompleted);
            foreach (var sidecar in running.Where(one => !one.Runtime.Loaded.Configuration.DisabledFeatures.Contains(ConfigurationResource.HotReload)))
            {
                try
                {
                    var (resources, configuration) = Read(sidecar.Runtime.Options, files);
                    // It may be half written: what it declared is not taken away for that.
                    ResourceException.ThrowIfAny(resources.Unreadable.Except(sidecar.Runtime.Loaded.Declared.Unreadable), strict: true);
                    TellNew(resources.Warnings, _changes);
                    if (await sidecar.TakeAsync(resources, configuration, cancellationToken) is { } exchange)
                    {
                        exchanges.Add(exchange);
                        taken.Add(sidecar.AppId);
                    }
                }
                catch (ResourceException e)
                {
                    mistakes.AddRange(e.Errors);
                }
                catch (Exception e) when (e is IOException or UnauthorizedAccessException)
                {
                    _changes.LogInformation("Changed files of {AppId} cannot be taken yet: {Reason}", sidecar.AppId, e.Message);
                    isRead = false;
                }
                catch (Exception e) when (!cancellationToken.IsCancellationRequested)
                {
                    mistakes.Add(new(default, $"the sidecar of {sidecar.AppId} cannot take the changed files: {e.Message}"));
                }
            }

            var inUse = running.SelectMany(sidecar => sidecar.Runtime.Loaded.Instances).ToHashSet();
            var tracing = exchanges.Select(exchange => exchange.Before.Tracing).Except(running.Select(sidecar => sidecar.Runtime.Loaded.Tracing));
            _closing = CloseAsync(_closing, exchanges, [.. await _shared.Components.TakeUnusedAsync(inUse), .. tracing.OfType<IAsyncDisposable>()]);
            if (taken.Count > 0)
                _changes.LogInformation("Changed files were taken by {Apps}", string.Join(", ", taken));
            Tell(mistakes);
            // What is wrong may be a server that is away, and no file would change when it is back.
            return isRead && mistakes.Count == 0;
        }
        finally
        {
            _changing.Release();
        }
    }

    private void Tell(List<ResourceError> mistakes)
    {
        var had = Mistake;
        Mistake = mistakes.Count == 0 ? null : new ResourceException(ResourceException.InOrder(mistakes));
        if (Mistake is not null && Mistake.Message != had?.Message)
            _changes.LogError("Changed files cannot be used, and the sidecars go on with what they had:{NewLine}{Mistakes}", Environment.NewLine, Mistake.Message);
        else if (Mistake is null && had is not null)
            _changes.LogInformation("The files are mended, and taken");
    }

    /// <summary>When nobody works with them any more, or the time for that is over.</summary>
    /// <param name="earlier">Requests that began before an earlier exchange may use them, too.</param>
    private async Task CloseAsync(Task earlier, IReadOnlyList<(LoadedResources Before, Task Following)> exchanges, IReadOnlyList<IAsyncDisposable> unused)
    {
        await earlier;
        using var limit = new CancellationTokenSource(LastUse);
        var uses = exchanges.SelectMany(exchange => new[] { exchange.Following, exchange.Before.LetRequestsEndAsync(limit.Token) });
        await Task.WhenAll(uses).WaitAsync(limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var instance in unused)
        {
            try
            {
                await instance.DisposeAsync();
            }
            catch (Exception e)
            {
                _logger.LogError(e, "What was changed or removed did not close cleanly");
            }
        }
    }

    /// <summary>Applications share their folders as a rule: at a start, or after a change, each is read once for all of them.</summary>
    private sealed class ReadOnce
    {
        private readonly Dictionary<string, ResourceSet> _read = [];

        public ResourceSet Load(IReadOnlyList<string> folders)
        {
            var key = string.Join('\n', folders);
            return _read.TryGetValue(key, out var read) ? read : _read[key] = ResourceLoader.Load(folders);
        }
    }
}
