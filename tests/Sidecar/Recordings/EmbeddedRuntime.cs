using DaprOrders.Sidecar.Hosting;
using DaprOrders.Sidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>The embedded sidecar, in this process.</summary>
public sealed class EmbeddedRuntime(Recording recording, string directory, IReadOnlyDictionary<string, int> appPorts) : IPlayedRuntime
{
    private EmbeddedDapr? _dapr;

    private EmbeddedDapr Dapr => _dapr ?? throw new InvalidOperationException("Start it first.");

    public Uri Http(string app) => new($"http://127.0.0.1:{Dapr[app].HttpPort}");

    public Uri Grpc(string app) => new($"http://127.0.0.1:{Dapr[app].GrpcPort}");

    public async Task StartAsync(CancellationToken cancel)
    {
        var environment = Texts("env");
        foreach (var (name, value) in environment.Where(variable => !variable.Key.EndsWith("_API_TOKEN", StringComparison.Ordinal)))
            Environment.SetEnvironmentVariable(name, value);
        _dapr = await EmbeddedDapr.StartAsync(new EmbeddedDaprOptions { Apps = [.. appPorts.Keys.Select(Options)] }, cancel);
    }

    public Task StopAsync(string app, CancellationToken cancel) => Dapr.RemoveAsync(Dapr[app], cancel);

    /// <summary>Nothing in a process can die alone; a stop that waits for nothing comes nearest.</summary>
    public Task KillAsync(string app, CancellationToken cancel) => Dapr.RemoveAsync(Dapr[app], new CancellationToken(canceled: true));

    public Task StartAgainAsync(string app, CancellationToken cancel) => Dapr.AddAsync(Options(app), cancel);

    public async ValueTask DisposeAsync()
    {
        if (_dapr is not null)
            await _dapr.DisposeAsync();
    }

    private SidecarOptions Options(string app)
    {
        var settings = recording.Content["settings"];
        var environment = Texts("env");
        var configuration = Path.Combine(directory, "config.yaml");
        return new SidecarOptions
        {
            AppId = app,
            AppPort = appPorts[app],
            Resources = ResourceLoader.Load([Path.Combine(directory, "resources")]),
            Configuration = File.Exists(configuration) ? ResourceLoader.LoadConfiguration(configuration) : ConfigurationResource.Default,
            ApiToken = environment.GetValueOrDefault("DAPR_API_TOKEN"),
            AppApiToken = environment.GetValueOrDefault("APP_API_TOKEN"),
            PlacementEnabled = recording.WithActors,
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
