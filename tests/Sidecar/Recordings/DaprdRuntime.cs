using System.Diagnostics;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>
/// A daprd process per app, with a placement and a scheduler process when the recording has actors: the programs of one folder.
/// </summary>
public sealed class DaprdRuntime(Recording recording, string directory, IReadOnlyDictionary<string, int> appPorts, string folder)
    : IPlayedRuntime
{
    private readonly Dictionary<string, (int Http, int Grpc)> _ports = appPorts.Keys.ToDictionary(app => app, _ => (FreePort.Next(), FreePort.Next()));
    private readonly Dictionary<string, Process> _sidecars = [];
    private readonly List<Process> _controlPlane = [];
    private readonly (int Placement, int Scheduler) _controlPorts = (FreePort.Next(), FreePort.Next());

    public Uri Http(string app) => new($"http://127.0.0.1:{_ports[app].Http}");

    public Uri Grpc(string app) => new($"http://127.0.0.1:{_ports[app].Grpc}");

    public Task StartAsync(CancellationToken cancel)
    {
        WriteConfigurations();
        if (recording.WithActors)
            StartControlPlane();
        foreach (var app in appPorts.Keys)
            Start(app);
        return Task.CompletedTask;
    }

    public async Task StopAsync(string app, CancellationToken cancel)
    {
        // A graceful end is a SIGTERM, which .NET sends to no process.
        using var signal = Process.Start("kill", ["-TERM", _sidecars[app].Id.ToString()]);
        await _sidecars[app].WaitForExitAsync(cancel);
    }

    public async Task KillAsync(string app, CancellationToken cancel)
    {
        _sidecars[app].Kill();
        await _sidecars[app].WaitForExitAsync(cancel);
    }

    public Task StartAgainAsync(string app, CancellationToken cancel)
    {
        _sidecars[app].Dispose();
        Start(app);
        return Task.CompletedTask;
    }

    public bool HasEnded(string app) => _sidecars[app].HasExited;

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _sidecars.Values.Concat(_controlPlane))
        {
            if (!process.HasExited)
                process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }
    }

    private void Start(string app)
    {
        List<string> arguments =
        [
            "--app-id", app, "--app-channel-address", "127.0.0.1",
            "--dapr-http-port", $"{_ports[app].Http}", "--dapr-grpc-port", $"{_ports[app].Grpc}", "--dapr-internal-grpc-port", $"{FreePort.Next()}",
            "--resources-path", Path.Combine(directory, "resources"), "--config", Configuration(app),
            "--enable-metrics=false", "--log-level", "error",
        ];
        if (appPorts[app] != 0)
            arguments.AddRange(["--app-port", $"{appPorts[app]}"]);
        if (recording.WithActors)
        {
            arguments.AddRange(["--placement-host-address", $"127.0.0.1:{_controlPorts.Placement}"]);
            arguments.AddRange(["--scheduler-host-address", $"127.0.0.1:{_controlPorts.Scheduler}"]);
        }
        foreach (var (name, value) in recording.Content["settings"]?.AsObject() ?? [])
            arguments.Add($"--{Flag(name)}={value}");
        _sidecars[app] = Run("daprd", arguments);
    }

    private void StartControlPlane()
    {
        _controlPlane.Add(Run("placement",
            ["--port", $"{_controlPorts.Placement}", "--healthz-port", $"{FreePort.Next()}", "--enable-metrics=false",
                "--initial-cluster", $"dapr-placement-0=127.0.0.1:{FreePort.Next()}"]));
        _controlPlane.Add(Run("scheduler",
            ["--port", $"{_controlPorts.Scheduler}", "--healthz-port", $"{FreePort.Next()}", "--enable-metrics=false",
                "--etcd-data-dir", Path.Combine(directory, "etcd"), "--etcd-client-port", $"{FreePort.Next()}",
                "--etcd-initial-cluster", $"dapr-scheduler-server-0=http://localhost:{FreePort.Next()}"]));
    }

    private Process Run(string program, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(Path.Combine(folder, program), arguments) { WorkingDirectory = directory };
        foreach (var (name, value) in recording.Content["env"]?.AsObject() ?? [])
            start.Environment[name] = (string)value!;
        return Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start from {folder}.");
    }

    /// <summary>The apps find each other through a file, as when the recordings were made; the default, mDNS, spans the network.</summary>
    private void WriteConfigurations()
    {
        if (!File.Exists(Path.Combine(directory, "config.yaml")))
            File.WriteAllText(Path.Combine(directory, "config.yaml"), "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  name: played\nspec:\n");
        foreach (var file in appPorts.Keys.Select(Configuration).Distinct())
        {
            File.AppendAllText(
                file, $"  nameResolution:\n    component: sqlite\n    version: v1\n    configuration:\n      connectionString: {directory}/names.db\n");
        }
    }

    private string Configuration(string app)
    {
        var own = Path.Combine(directory, $"config-{app}.yaml");
        return File.Exists(own) ? own : Path.Combine(directory, "config.yaml");
    }

    /// <summary>appMaxConcurrency is --app-max-concurrency.</summary>
    private static string Flag(string setting) =>
        string.Concat(setting.Select(letter => char.IsUpper(letter) ? $"-{char.ToLowerInvariant(letter)}" : $"{letter}"));
}
