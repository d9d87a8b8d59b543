using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>The embedded sidecar, in this process.</summary>
public sealed class EmbeddedRuntime(Recording recording, string directory, IReadOnlyDictionary<string, int> appPorts) : IPlayedRuntime
{
    private readonly Dictionary<string, EmbeddedDapr> _dapr = [];

    public Uri Http(string app) => new($"http://127.0.0.1:{Sidecar(app).HttpPort}");

    public Uri Grpc(string app) => new($"http://127.0.0.1:{Sidecar(app).GrpcPort}");

    public async Task StartAsync(CancellationToken cancel)
    {
        var environment = Texts("env");
        foreach (var (name, value) in environment.Where(variable => !variable.Key.EndsWith("_API_TOKEN", StringComparison.Ordinal)))
            Environment.SetEnvironmentVariable(name, value);
        // Apps of which some may not get ready were played side by side: they have nothing to do with each other, in-memory brokers included.
        string[] started = [.. recording.Apps.Where(app => !app.IsOff).Select(app => app.Id)];
        foreach (var apps in recording.MayBeUnready ? started.Chunk(1) : [started])
        {
            var dapr = await EmbeddedDapr.StartAsync(new EmbeddedDaprOptions { Apps = [.. apps.Select(Options)] }, cancel);
            foreach (var app in apps)
                _dapr[app] = dapr;
        }
    }

    public Task StopAsync(string app, CancellationToken cancel) => _dapr[app].RemoveAsync(Sidecar(app), cancel);

    /// <summary>Nothing in a process can die alone; a stop that waits for nothing comes nearest.</summary>
    public Task KillAsync(string app, CancellationToken cancel) => _dapr[app].RemoveAsync(Sidecar(app), new CancellationToken(canceled: true));

    public Task StartAgainAsync(string app, CancellationToken cancel) => _dapr[app].AddAsync(Options(app), cancel);

    public bool HasEnded(string app) => Sidecar(app).Stopped.IsCompleted || Sidecar(app).Ready.IsFaulted;

    public async ValueTask DisposeAsync()
    {
        foreach (var dapr in _dapr.Values.Distinct())
            await dapr.DisposeAsync();
    }

    private SidecarHost Sidecar(string app) => _dapr[app][app];

    private SidecarOptions Options(string app)
    {
        var settings = recording.Content["settings"];
        var environment = Texts("env");
        var own = Path.Combine(directory, $"config-{app}.yaml");
        var configuration = File.Exists(own) ? own : Path.Combine(directory, "config.yaml");
        return new SidecarOptions
        {
            AppId = app,
            AppPort = appPorts[app],
            AppProtocol = recording.WithGrpcApps ? AppProtocol.Grpc : AppProtocol.Http,
            Resources = ResourceLoader.Load([Path.Combine(directory, "resources")]),
            Configuration = File.Exists(configuration) ? ResourceLoader.LoadConfiguration(configuration) : ConfigurationResource.Default,
            ApiToken = environment.GetValueOrDefault("DAPR_API_TOKEN"),
            AppApiToken = environment.GetValueOrDefault("APP_API_TOKEN"),
            PlacementEnabled = recording.WithActors,
            MaxBodyBytes = (string?)settings?["maxBodySize"] is ['1', '6', 'K', 'i'] ? 16 * 1024 : 4 * 1024 * 1024,
            AppMaxConcurrency = (int?)settings?["appMaxConcurrency"] ?? -1,
            AppHealthCheck = (bool?)settings?["enableAppHealthCheck"] is true
                ? new AppHealthCheck(
                    "/healthz",
                    TimeSpan.FromSeconds((double?)settings["appHealthProbeInterval"] ?? 5),
                    TimeSpan.FromMilliseconds((double?)settings["appHealthProbeTimeout"] ?? 500),
                    (int?)settings["appHealthThreshold"] ?? 3)
                : null,
        };
    }

    private Dictionary<string, string> Texts(string part) =>
        (recording.Content[part]?.AsObject() ?? []).ToDictionary(field => field.Key, field => (string)field.Value!);
}
