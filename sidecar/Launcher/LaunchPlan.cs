using EmbeddedSidecar.Components;
using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>What the command line asks for. Paths start at the working directory.</summary>
internal sealed record LaunchOptions
{
    /// <summary>Null: the dapr.yaml of the working directory or above it, else of this repository.</summary>
    public string? RunFile { get; init; }

    /// <summary>Null: components/local for this repository's run file, nothing replaced in another.</summary>
    public string? ResourcesPath { get; init; }

    public bool Reset { get; init; }

    public bool NoBuild { get; init; }

    /// <summary>What Dapr passes over in files, and else is a warning, is a mistake.</summary>
    public bool Strict { get; init; }

    /// <summary>An app or a sidecar that cannot live ends the run; else the others go on, as with <c>dapr run</c>.</summary>
    public bool FailFast { get; init; }
}

/// <summary>A run file with all that it names, read and found free of mistakes; <c>Warnings</c>: what Dapr passes over in them, or does without.</summary>
internal sealed record LaunchPlan(RunFile RunFile, IReadOnlyList<SidecarOptions> Sidecars, bool IsOwnRunFile, IReadOnlyList<ResourceError> Warnings)
{
    /// <summary>The folder that dapr.yaml names for a machine with Redis, and that another broker's folder takes the place of.</summary>
    private const string Replaced = "components/redis";

    private const string Local = "components/local";

    /// <summary>What the components and the launcher keep between runs: data/ here, .dapr/ beside another's run file.</summary>
    public string DataFolder => Path.Combine(RunFile.Folder, IsOwnRunFile ? "data" : ".dapr");

    /// <exception cref="ResourceException">Every mistake in the run file and in the files that it names; the warnings too, where asked to be strict.</exception>
    public static LaunchPlan Read(LaunchOptions options)
    {
        var errors = new List<ResourceError>();
        var isOwn = options.RunFile is null;
        var runFile = RunFileReader.Read(options.RunFile ?? FindRunFile(), errors);
        if (runFile is null)
            throw new ResourceException(errors);

        runFile = WithBroker(runFile, options, isOwn);
        var resources = new Dictionary<string, ResourceSet>(StringComparer.Ordinal);
        var configurations = new HashSet<string>(StringComparer.Ordinal);
        var sidecars = new List<SidecarOptions>();
        foreach (var app in runFile.Apps)
        {
            // A folder that is missing was told with the run file, and all that it lacks would only hide that.
            if (!app.ResourcesPaths.All(Directory.Exists))
                continue;
            var key = string.Join('\n', app.ResourcesPaths);
            if (!resources.TryGetValue(key, out var set))
                resources[key] = set = ResourceLoader.Load(app.ResourcesPaths, errors);
            if (app.ConfigFilePath is { } file && configurations.Add(file))
                ResourceLoader.LoadConfiguration(file, errors);

            var sidecar = OptionsOf(app);
            errors.AddRange(ResourceChecks.For(set, app.AppId, sidecar.Namespace, errors).Components.SelectMany(ComponentTypes.Check));
            errors.AddRange(ResourceChecks.CheckSubscriptions(set, app.AppId));
            sidecars.Add(sidecar);
        }

        ResourceException.ThrowIfAny(errors, options.Strict);
        return new(runFile, sidecars, isOwn, ResourceException.InOrder(errors));
    }

    /// <summary>The dapr.yaml of the working directory or a folder above it, else of a folder above this program.</summary>
    internal static string FindRunFile()
    {
        foreach (var start in new[] { Environment.CurrentDirectory, AppContext.BaseDirectory })
        {
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                var file = Path.Combine(folder.FullName, "dapr.yaml");
                if (File.Exists(file))
                    return file;
            }
        }

        throw new LaunchException($"No dapr.yaml in {Environment.CurrentDirectory} or a folder above it; name a run file with --run-file PATH.");
    }

    private static RunFile WithBroker(RunFile runFile, LaunchOptions options, bool isOwn)
    {
        var replaced = Path.GetFullPath(Replaced, runFile.Folder);
        var local = Path.GetFullPath(Local, runFile.Folder);
        var replacement = options.ResourcesPath is { } path ? Path.GetFullPath(path) : isOwn && Directory.Exists(local) ? local : null;
        if (replacement is null)
            return runFile;
        if (!Directory.Exists(replacement))
            throw new LaunchException($"--resources-path: expected a folder with resource files, got \"{options.ResourcesPath}\", and {replacement} does not exist.");
        if (!runFile.Apps.Any(a => a.ResourcesPaths.Contains(replaced)))
        {
            return options.ResourcesPath is null
                ? runFile
                : throw new LaunchException($"--resources-path takes the place of {Replaced}, which {runFile.Path} does not name.");
        }

        return runFile with
        {
            Apps = [.. runFile.Apps.Select(a => a with { ResourcesPaths = [.. a.ResourcesPaths.Select(p => p == replaced ? replacement : p)] })],
        };
    }

    private static SidecarOptions OptionsOf(RunApp app) => new()
    {
        AppId = app.AppId,
        AppPort = app.AppPort,
        AppChannelAddress = app.Host,
        AppProtocol = Enum.Parse<AppProtocol>(app.AppProtocol, ignoreCase: true),
        UnixDomainSocket = app.UnixDomainSocket,
        HttpPort = app.DaprHttpPort,
        GrpcPort = app.DaprGrpcPort,
        MetricsPort = app.MetricsPort > 0 ? app.MetricsPort : null,
        ListenAddress = app.ListenAddress,
        DisableH2c = ComponentMetadata.IsTruthy(Environment.GetEnvironmentVariable("DAPR_HTTP_DISABLE_H2C") ?? ""),
        Namespace = Environment.GetEnvironmentVariable("NAMESPACE") ?? "",
        Folder = app.AppDirPath,
        ResourcesPaths = app.ResourcesPaths,
        ConfigPath = app.ConfigFilePath,
        // As with the CLI, tokens come from the environment that starts the run, not from env of the run file, which is the app's alone.
        ApiToken = Environment.GetEnvironmentVariable("DAPR_API_TOKEN") is { Length: > 0 } apiToken ? apiToken : null,
        AppApiToken = Environment.GetEnvironmentVariable("APP_API_TOKEN") is { Length: > 0 } appToken ? appToken : null,
        AppMaxConcurrency = app.AppMaxConcurrency,
        MaxBodyBytes = app.MaxBodyBytes,
        ReadBufferBytes = app.ReadBufferBytes,
        AppHealthCheck = app.AppHealthCheck,
    };
}
