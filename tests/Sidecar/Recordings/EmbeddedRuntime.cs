using System.Text.Json.Nodes;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>The embedded sidecar, in this process.</summary>
public sealed class EmbeddedRuntime(Recording recording, string directory, IReadOnlyDictionary<string, int> appPorts) : IPlayedRuntime
{
    private readonly Dictionary<string, EmbeddedDapr> _dapr = [];
    private readonly Dictionary<string, SidecarHost> _sidecars = [];

    public Uri Http(string app) => new($"http://127.0.0.1:{Sidecar(app).HttpPort}");

    public Uri Grpc(string app) => new($"http://127.0.0.1:{Sidecar(app).GrpcPort}");

    public async Task StartAsync(CancellationToken cancel)
    {
        var environment = Texts("env");
        foreach (var (name, value) in environment.Where(variable => !variable.Key.EndsWith("_API_TOKEN", StringComparison.Ordinal)))
            Environment.SetEnvironmentVariable(name, value);
        // Apps of which some may not get ready were played side by side: they have nothing to do with each other, in-memory brokers included.
        string[] all = [.. recording.Apps.Select(app => app.Id)];
        foreach (var apps in recording.MayBeUnready ? all.Chunk(1) : [all])
        {
            var dapr = await EmbeddedDapr.StartAsync(new EmbeddedDaprOptions { Apps = [] }, cancel);
            foreach (var app in apps)
            {
                _dapr[app] = dapr;
                if (!Script(app).IsOff)
                    await StartAgainAsync(app, cancel);
                // As daprd's were: one after the other, where their applications were there.
                if (!recording.MayBeUnready && Script(app) is { IsOff: false, OpensAfter.Ticks: 0 })
                    await Sidecar(app).Ready.WaitAsync(cancel);
            }
        }
    }

    public Task StopAsync(string app, CancellationToken cancel) =>
        _sidecars.Remove(app, out var sidecar) ? _dapr[app].RemoveAsync(sidecar, cancel) : Task.CompletedTask;

    /// <summary>Nothing in a process can die alone; a stop that waits for nothing comes nearest.</summary>
    public Task KillAsync(string app, CancellationToken cancel) => StopAsync(app, new CancellationToken(canceled: true));

    public async Task StartAgainAsync(string app, CancellationToken cancel) => _sidecars[app] = await _dapr[app].AddAsync(Options(app), cancel);

    public bool HasEnded(string app) => Sidecar(app).Stopped.IsCompleted || Sidecar(app).Ready.IsFaulted;

    public async ValueTask DisposeAsync()
    {
        foreach (var dapr in _dapr.Values.Distinct())
            await dapr.DisposeAsync();
    }

    private SidecarHost Sidecar(string app) => _sidecars[app];

    private AppScript Script(string app) => recording.Apps.Single(script => script.Id == app);

    private SidecarOptions Options(string app)
    {
        JsonNode? Setting(string name) => Script(app).Settings?[name] ?? recording.Content["settings"]?[name];
        var environment = Texts("env");
        var own = Path.Combine(directory, $"config-{app}.yaml");
        var configuration = File.Exists(own) ? own : Path.Combine(directory, "config.yaml");
        return new SidecarOptions
        {
            AppId = Script(app).AppId,
            AppPort = appPorts[app],
            AppProtocol = recording.WithGrpcApps ? AppProtocol.Grpc : AppProtocol.Http,
            ResourcesPaths = [Path.Combine(directory, "resources")],
            ConfigPath = File.Exists(configuration) ? configuration : null,
            ApiToken = environment.GetValueOrDefault("DAPR_API_TOKEN"),
            AppApiToken = environment.GetValueOrDefault("APP_API_TOKEN"),
            PlacementEnabled = recording.WithActors,
            AllowedOrigins = (string?)Setting("allowedOrigins") ?? "",
            MaxBodyBytes = (string?)Setting("maxBodySize") is ['1', '6', 'K', 'i'] ? 16 * 1024 : 4 * 1024 * 1024,
            AppMaxConcurrency = (int?)Setting("appMaxConcurrency") ?? -1,
            AppHealthCheck = (bool?)Setting("enableAppHealthCheck") is true
                ? new AppHealthCheck(
                    "/healthz",
                    TimeSpan.FromSeconds((double?)Setting("appHealthProbeInterval") ?? 5),
                    TimeSpan.FromMilliseconds((double?)Setting("appHealthProbeTimeout") ?? 500),
                    (int?)Setting("appHealthThreshold") ?? 3)
                : null,
        };
    }

    private Dictionary<string, string> Texts(string part) =>
        (recording.Content[part]?.AsObject() ?? []).ToDictionary(field => field.Key, field => (string)field.Value!);
}
