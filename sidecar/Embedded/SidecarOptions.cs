using System.Net;
using EmbeddedSidecar.Resources;

namespace EmbeddedSidecar;

/// <summary>What one sidecar is started with: the flags and the environment of a daprd.</summary>
public sealed record SidecarOptions
{
    internal const string DefaultAppChannelAddress = "127.0.0.1";

    /// <summary>Where no namespace is set, which takes the resources of every one.</summary>
    internal const string DefaultNamespace = "default";

    private readonly string _namespace = "";

    public required string AppId { get; init; }

    /// <summary>0 when the application takes no calls.</summary>
    public int AppPort { get; init; }

    public string AppChannelAddress { get; init; } = DefaultAppChannelAddress;

    public AppProtocol AppProtocol { get; init; }

    /// <summary>
    /// A folder: the APIs then listen on no ports, but on the socket files <c>dapr-{AppId}-http.socket</c> and <c>dapr-{AppId}-grpc.socket</c> in it.
    /// </summary>
    public string? UnixDomainSocket { get; init; }

    /// <summary>0 picks a free port.</summary>
    public int HttpPort { get; init; }

    /// <summary>0 picks a free port.</summary>
    public int GrpcPort { get; init; }

    /// <summary>127.0.0.1 or ::1, where both APIs are to be on that one alone; null: both, as far as a port is given.</summary>
    public IPAddress? ListenAddress { get; init; }

    /// <summary>DAPR_HTTP_DISABLE_H2C: the HTTP port speaks HTTP/1.1 alone, else also HTTP/2 to whoever begins with it.</summary>
    public bool DisableH2c { get; init; }

    /// <summary>Where the counts are told in Prometheus' format, under daprd's names; 0 picks a free port, null tells them nowhere.</summary>
    public int? MetricsPort { get; init; }

    /// <summary>NAMESPACE. Where it is not given it is <c>default</c>, but for the keys of a state store (keyPrefix namespace), which then are without one.</summary>
    public string Namespace
    {
        get => IsNamespaceGiven ? _namespace : DefaultNamespace;
        init => _namespace = value;
    }

    internal bool IsNamespaceGiven => _namespace.Length > 0;

    /// <summary>Where relative paths in components start: what the working directory is to a daprd. Null: that of this process.</summary>
    public string? Folder { get; init; }

    /// <summary>Folders with resource files of this application alone, beside those of all (<see cref="EmbeddedDaprOptions.ResourcesPaths"/>).</summary>
    public IReadOnlyList<string> ResourcesPaths { get; init; } = [];

    /// <summary>A file with a Configuration; null: Dapr's defaults.</summary>
    public string? ConfigPath { get; init; }

    /// <summary>What was read already, beside the folders.</summary>
    internal ResourceSet Resources { get; init; } = ResourceSet.Empty;

    /// <summary>What was read already; <see cref="ConfigPath"/> goes before it.</summary>
    internal ConfigurationResource Configuration { get; init; } = ConfigurationResource.Default;

    /// <summary>DAPR_API_TOKEN: what callers must send as <c>dapr-api-token</c>.</summary>
    public string? ApiToken { get; init; }

    /// <summary>APP_API_TOKEN: what the sidecar sends to the application as <c>dapr-api-token</c>.</summary>
    public string? AppApiToken { get; init; }

    /// <summary>Of whose pages scripts may call the sidecar (CORS), with commas between them: <c>*</c> is any; empty, none is told so.</summary>
    public string AllowedOrigins { get; init; } = "";

    /// <summary>-1: no bound.</summary>
    public int AppMaxConcurrency { get; init; } = -1;

    public int MaxBodyBytes { get; init; } = 4 * 1024 * 1024;

    /// <summary>Of the headers of a request over HTTP, and of those of the application's answers. Null: no such bound, but the server's own (32 KiB).</summary>
    public int? ReadBufferBytes { get; init; }

    public AppHealthCheck? AppHealthCheck { get; init; }

    /// <summary>False: as a daprd that has neither a placement nor a scheduler service: no actors, no jobs.</summary>
    public bool PlacementEnabled { get; init; } = true;
}

public sealed record AppHealthCheck(string Path, TimeSpan Interval, TimeSpan Timeout, int Threshold);
