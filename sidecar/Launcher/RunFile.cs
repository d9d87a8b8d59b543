
namespace DaprOrders.Sidecar.Launcher;

/// <summary>A multi-app run file of the Dapr CLI, with <c>common</c> merged into each app and every path absolute.</summary>
internal sealed record RunFile(string Path, string? Name, IReadOnlyList<RunApp> Apps)
{
    public string Folder { get; } = System.IO.Path.GetDirectoryName(Path)!;

    /// <summary>Where an app is reached through its own sidecar, with a slash at the end; null where the run file has none such.</summary>
    public Uri? DaprAddress(string appId) =>
        Apps.FirstOrDefault(a => a.AppId == appId) is { DaprHttpPort: > 0 } app ? new Uri($"http://localhost:{app.DaprHttpPort}/v1.0/invoke/{appId}/method/") : null;
}

public enum LogDestination
{
    /// <summary>Not said.</summary>
    Unset,
    Console,
    File,
    FileAndConsole,
}

/// <summary>One app of a run file. Ports: 0 is none for the app, a free one for Dapr.</summary>
internal sealed record RunApp
{
    public required string AppId { get; init; }

    /// <summary>Absolute; the working directory of <see cref="Command"/>.</summary>
    public required string AppDirPath { get; init; }

    public required SourceLocation Location { get; init; }

    /// <summary>Program and arguments; empty when the app is started by somebody else and only wants its sidecar.</summary>
    public IReadOnlyList<string> Command { get; init; } = [];

    public IReadOnlyDictionary<string, string> Env { get; init; } = new Dictionary<string, string>();

    public int AppPort { get; init; }

    /// <summary>The folder of the sidecar's socket files, which then has no ports for its APIs; null: none.</summary>
    public string? UnixDomainSocket { get; init; }

    public int DaprHttpPort { get; init; }

    public int DaprGrpcPort { get; init; }

    public int MetricsPort { get; init; }

    public string AppChannelAddress { get; init; } = "";

    /// <summary>Where the app is reached.</summary>
    public string Host => AppChannelAddress.Length > 0 ? AppChannelAddress : SidecarOptions.DefaultAppChannelAddress;

    public string AppProtocol { get; init; } = "http";

    public IReadOnlyList<string> ResourcesPaths { get; init; } = [];

    /// <summary>Null where no file was named and <c>~/.dapr/config.yaml</c> does not exist.</summary>
    public string? ConfigFilePath { get; init; }

    public int AppMaxConcurrency { get; init; } = -1;

    public int MaxBodyBytes { get; init; }

    /// <summary>Null: not said.</summary>
    public int? ReadBufferBytes { get; init; }

    public AppHealthCheck? AppHealthCheck { get; init; }

    /// <summary>What the app writes.</summary>
    public LogDestination AppLogDestination { get; init; } = LogDestination.FileAndConsole;

    /// <summary>What its sidecar logs.</summary>
    public LogDestination DaprdLogDestination { get; init; } = LogDestination.File;
}
