using System.Net.Sockets;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>
/// Reads dapr.yaml with the rules of the Dapr CLI 1.18 (pkg/runfileconfig), and tells what the CLI ignores in silence.
/// Merge: an app's value wins, an empty, zero or false one takes the value of <c>common</c>; <c>env</c> is merged by key. Paths in
/// <c>common</c>, and <c>appDirPath</c>, start at the run file's folder, other paths of an app at its <c>appDirPath</c>.
/// </summary>
internal static class RunFileReader
{
    private const string AppPort = "appPort";

    /// <summary>Valid, without a meaning here: the control plane, containers, profiling and logging of a daprd process.</summary>
    private static readonly string[] SharedWithoutEffect =
    [
        "apiListenAddresses", "enableProfiling", "logLevel", "placementHostAddress", "schedulerHostAddress", "enableApiLogging", "runtimePath",
    ];

    /// <summary>In Dapr's documentation still, and passed over by its CLI.</summary>
    private static readonly (string Field, string Now)[] Replaced = [("daprHTTPMaxRequestSize", "maxBodySize"), ("daprHTTPReadBufferSize", "readBufferSize")];

    private static readonly string[] AppWithoutEffect =
        ["profilePort", "containerImage", "containerImagePullPolicy", "createService"];

    /// <exception cref="ResourceException">Every mistake found.</exception>
    public static RunFile Read(string path)
    {
        var errors = new List<ResourceError>();
        var runFile = Read(path, errors);
        ResourceException.ThrowIfAny(errors);
        return runFile!;
    }

    public static RunFile? Read(string path, List<ResourceError> errors)
    {
        path = Path.GetFullPath(path);
        if (Directory.Exists(path))
            path = Path.Combine(path, "dapr.yaml");
        if (!File.Exists(path))
        {
            errors.Add(new(new(path, 0), "expected a run file; it does not exist"));
            return null;
        }

        if (YamlMap.Documents(path, File.ReadAllText(path), errors, StringComparison.Ordinal) is not [var document, ..])
        {
            if (errors.Count == 0)
                errors.Add(new(new(path, 0), "expected a run file with version and apps, got an empty file"));
            return null;
        }

        var runFile = Read(path, document);
        errors.AddRange(document.Findings.All);
        return runFile;
    }

    private static RunFile Read(string path, YamlMap document)
    {
        var folder = Path.GetDirectoryName(path)!;
        if (document.Integer("version", minimum: 1) is null && !document.Has("version"))
            document.Error("expected version: 1, got nothing", "version");
        var name = document.Text("name");
        var commonMap = document.Map("common");
        var common = commonMap is null ? new Shared() : ReadShared(commonMap, folder);
        commonMap?.EndOfFields();

        var apps = new List<RunApp>();
        var ports = new Dictionary<int, string>();
        foreach (var map in document.Maps("apps"))
        {
            if (ReadApp(map, folder, common, ports) is { } app)
                apps.Add(app);
            map.EndOfFields();
        }

        if (!document.Has("apps"))
            document.Error("expected a list of apps, got nothing", "apps");
        else if (apps.Count == 0 && !document.Findings.HasErrors)
            document.Error("expected at least one app, got none", "apps");
        document.EndOfFields();
        return new(path, name, apps);
    }

    private static RunApp? ReadApp(YamlMap map, string folder, Shared common, Dictionary<int, string> ports)
    {
        map.Skip(AppWithoutEffect);
        var sockets = SocketFolder(map);
        var written = map.RequiredText("appDirPath", "the folder of the app");
        var appDir = written.Length == 0 ? folder : Existing(map, "appDirPath", folder, written, Directory.Exists, "a folder");
        var own = ReadShared(map, appDir);
        var appId = map.Text("appID") is { Length: > 0 } id ? id : Path.GetFileName(Path.TrimEndingDirectorySeparator(appDir));
        var env = new Dictionary<string, string>(common.Env, StringComparer.Ordinal);
        foreach (var (key, value) in own.Env)
            env[key] = value;

        // Nothing listens on it here, but a daprd that runs the same file does: it is read as a port, and one given twice is a mistake.
        Port("daprInternalGRPCPort");
        return new RunApp
        {
            AppId = appId,
            AppDirPath = appDir,
            Location = map.Location,
            Command = ReadCommand(map),
            Env = env,
            AppPort = Port(AppPort),
            UnixDomainSocket = sockets,
            DaprHttpPort = ApiPort("daprHTTPPort"),
            DaprGrpcPort = ApiPort("daprGRPCPort"),
            MetricsPort = Port("metricsPort"),
            AppChannelAddress = map.Text("appChannelAddress") ?? "",
            AppProtocol = Or(own.AppProtocol, common.AppProtocol) ?? "http",
            ResourcesPaths = ResourcesPaths(own, common, appDir),
            ConfigFilePath = ConfigFilePath(own, common, appDir),
            AppMaxConcurrency = OrZero(own.AppMaxConcurrency, common.AppMaxConcurrency) is >= 1 and var bound ? bound : -1,
            MaxBodyBytes = OrZero(own.MaxBodyBytes, common.MaxBodyBytes) is > 0 and var bytes ? bytes : 4 << 20,
            ReadBufferBytes = OrZero(own.ReadBufferBytes, common.ReadBufferBytes) is > 0 and var most ? most : null,
            AppHealthCheck = HealthCheck(own, common),
            AppLogDestination = Or(own.AppLogDestination, common.AppLogDestination, LogDestination.FileAndConsole),
            DaprdLogDestination = Or(own.DaprdLogDestination, common.DaprdLogDestination, LogDestination.File),
        };

        // Nobody listens on it beside the sockets.
        int ApiPort(string field) => Port(field) is var port && sockets is null ? port : 0;

        int Port(string field)
        {
            var port = map.Integer(field, maximum: ushort.MaxValue) ?? 0;
            if (port <= 0)
                return 0;
            if (!ports.TryAdd(port, $"{field} of {appId}"))
            {
                var taken = $"port {port} is already the {ports[port]}";
                if (field == AppPort && ports[port].StartsWith(AppPort, StringComparison.Ordinal))
                    map.Warning($"{taken}; Dapr starts both, and one of them will find it taken", field);
                else
                    map.Error(taken, field);
            }

            return port;
        }
    }

    /// <summary>As daprd, which the CLI starts in its own working directory, takes it.</summary>
    private static string? SocketFolder(YamlMap map)
    {
        const string Field = "unixDomainSocket";
        if (map.Text(Field) is not { Length: > 0 } folder)
            return null;
        if (!Socket.OSSupportsUnixDomainSockets)
            map.Error("this system has no Unix domain sockets; without this field the sidecar listens on ports", Field);
        return Existing(map, Field, Environment.CurrentDirectory, folder, Directory.Exists, "a folder");
    }

    private static IReadOnlyList<string> ReadCommand(YamlMap map)
    {
        var command = map.Words("command");
        if (command is [var program, ..] && string.IsNullOrWhiteSpace(program))
            map.Error("expected a program and its arguments, got an empty word", "command");
        return command;
    }

    /// <summary>The field appSSL, which appProtocol has replaced.</summary>
    private static string WithTls(string? protocol) => protocol?.StartsWith("grpc", StringComparison.OrdinalIgnoreCase) == true ? "grpcs" : "https";

    private static Shared ReadShared(YamlMap map, string folder)
    {
        map.Skip(SharedWithoutEffect);
        foreach (var (field, now) in Replaced.Where(one => map.Has(one.Field)))
            map.Warning($"has no effect, in Dapr neither: {now} has taken its place", field);
        var resources = map.Texts("resourcesPaths").Select(p => Existing(map, "resourcesPaths", folder, p, Directory.Exists, "a folder")).ToList();
        // The list wins over the field that it has replaced.
        if (map.Text("resourcesPath") is { Length: > 0 } deprecated && resources.Count == 0)
            resources.Add(Existing(map, "resourcesPath", folder, deprecated, Directory.Exists, "a folder"));
        if (map.Text("appProtocol") is { Length: > 0 } protocol && protocol.ToUpperInvariant() is not ("HTTP" or "HTTPS" or "H2C" or "GRPC" or "GRPCS"))
            map.Error($"must be http, https, h2c, grpc or grpcs, got \"{protocol}\"", "appProtocol");

        return new Shared
        {
            ConfigFilePath = map.Text("configFilePath") is { Length: > 0 } config
                ? Existing(map, "configFilePath", folder, config, File.Exists, "a file")
                : null,
            ResourcesPaths = resources,
            AppProtocol = map.Flag("appSSL") == true ? WithTls(map.Text("appProtocol")) : map.Text("appProtocol"),
            AppMaxConcurrency = map.Integer("appMaxConcurrency") ?? 0,
            MaxBodyBytes = Bytes(map, "maxBodySize"),
            ReadBufferBytes = Bytes(map, "readBufferSize"),
            EnableAppHealthCheck = map.Flag("enableAppHealthCheck") ?? false,
            AppHealthCheckPath = map.Text("appHealthCheckPath"),
            AppHealthProbeInterval = map.Integer("appHealthProbeInterval", minimum: 0) ?? 0,
            AppHealthProbeTimeout = map.Integer("appHealthProbeTimeout", minimum: 0) ?? 0,
            AppHealthThreshold = map.Integer("appHealthThreshold", minimum: 0) ?? 0,
            Env = map.TextMap("env"),
            AppLogDestination = Destination(map, "appLogDestination"),
            DaprdLogDestination = Destination(map, "daprdLogDestination"),
        };
    }

    private static List<string> ResourcesPaths(Shared own, Shared common, string appDir)
    {
        if (own.ResourcesPaths.Count > 0)
            return [.. own.ResourcesPaths];
        var beside = Path.Combine(appDir, ".dapr", "resources");
        if (Directory.Exists(beside))
            return [beside];
        if (common.ResourcesPaths.Count > 0)
            return [.. common.ResourcesPaths];
        var installed = Path.Combine(DaprFolder(), "components");
        return Directory.Exists(installed) ? [installed] : [];
    }

    private static string? ConfigFilePath(Shared own, Shared common, string appDir)
    {
        if (own.ConfigFilePath is not null)
            return own.ConfigFilePath;
        var beside = Path.Combine(appDir, ".dapr", "config.yaml");
        if (File.Exists(beside))
            return beside;
        if (common.ConfigFilePath is not null)
            return common.ConfigFilePath;
        var installed = Path.Combine(DaprFolder(), "config.yaml");
        return File.Exists(installed) ? installed : null;
    }

    /// <summary>With daprd's defaults: /healthz every 5 s, 500 ms, three failures.</summary>
    private static AppHealthCheck? HealthCheck(Shared own, Shared common) => !own.EnableAppHealthCheck && !common.EnableAppHealthCheck
        ? null
        : new(
            Or(own.AppHealthCheckPath, common.AppHealthCheckPath) ?? "/healthz",
            TimeSpan.FromSeconds(OrZero(own.AppHealthProbeInterval, common.AppHealthProbeInterval) is > 0 and var interval ? interval : 5),
            TimeSpan.FromMilliseconds(OrZero(own.AppHealthProbeTimeout, common.AppHealthProbeTimeout) is > 0 and var timeout ? timeout : 500),
            OrZero(own.AppHealthThreshold, common.AppHealthThreshold) is > 0 and var threshold ? threshold : 3);

    private static string Existing(YamlMap map, string field, string folder, string path, Func<string, bool> exists, string what)
    {
        var full = Path.GetFullPath(path is "~" || path.StartsWith("~/", StringComparison.Ordinal) ? Home() + path[1..] : path, folder);
        if (!exists(full))
            map.Error($"expected {what}, got \"{path}\", and {full} does not exist", field);
        return full;
    }

    private static LogDestination Destination(YamlMap map, string field)
    {
        if (string.IsNullOrEmpty(map.Text(field)))
            return LogDestination.Unset;
        return map.OneOf(field, "console", "file", "fileAndConsole") switch
        {
            "console" => LogDestination.Console,
            "file" => LogDestination.File,
            "fileAndConsole" => LogDestination.FileAndConsole,
            _ => LogDestination.Unset,
        };
    }

    private static int Bytes(YamlMap map, string field)
    {
        var text = map.Text(field);
        if (string.IsNullOrEmpty(text))
            return 0;
        if (ByteQuantity.TryParse(text, out var bytes) && bytes <= int.MaxValue)
            return (int)bytes;
        map.Error($"expected a size such as 4Mi or 512Ki, below 2Gi, got \"{text}\"", field);
        return 0;
    }

    private static string? Or(string? own, string? common) => string.IsNullOrEmpty(own) ? string.IsNullOrEmpty(common) ? null : common : own;

    private static LogDestination Or(LogDestination own, LogDestination common, LogDestination standard) =>
        own != LogDestination.Unset ? own : common != LogDestination.Unset ? common : standard;

    private static int OrZero(int own, int common) => own == 0 ? common : own;

    private static string Home() => Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);

    private static string DaprFolder() => Path.Combine(Environment.GetEnvironmentVariable("DAPR_RUNTIME_PATH") ?? Home(), ".dapr");

    private sealed record Shared
    {
        public string? ConfigFilePath { get; init; }

        public List<string> ResourcesPaths { get; init; } = [];

        public string? AppProtocol { get; init; }

        public int AppMaxConcurrency { get; init; }

        public int MaxBodyBytes { get; init; }

        public int ReadBufferBytes { get; init; }

        public bool EnableAppHealthCheck { get; init; }

        public string? AppHealthCheckPath { get; init; }

        public int AppHealthProbeInterval { get; init; }

        public int AppHealthProbeTimeout { get; init; }

        public int AppHealthThreshold { get; init; }

        public IReadOnlyDictionary<string, string> Env { get; init; } = new Dictionary<string, string>();

        public LogDestination AppLogDestination { get; init; }

        public LogDestination DaprdLogDestination { get; init; }
    }
}
