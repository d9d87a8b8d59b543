using System.Diagnostics;
using System.Globalization;
using System.Reflection;
using DaprOrders.Bench.EventStores;

namespace DaprOrders.Bench.Sidecars;

/// <summary>Two sidecars in processes of their own: of a caller without a port, and of the application that is called.</summary>
internal sealed class SidecarsUnderLoad : IAsyncDisposable
{
    public const string Caller = "caller";
    public const string Callee = "callee";

    private readonly List<Process> _processes = [];

    private SidecarsUnderLoad()
    {
    }

    public string CallerHttp { get; private set; } = "";

    public string CallerGrpc { get; private set; } = "";

    /// <summary>Where /v1.0/healthz answers 204 once the application was asked all there is to ask.</summary>
    public string CalleeHttp { get; private set; } = "";

    /// <summary>Processor time that the sidecars have used so far.</summary>
    public TimeSpan Processor
    {
        get
        {
            var used = TimeSpan.Zero;
            foreach (var process in _processes)
            {
                process.Refresh();
                used += process.TotalProcessorTime;
            }

            return used;
        }
    }

    /// <summary>Both in one process (<see cref="EmbeddedCommand"/>).</summary>
    public static Task<SidecarsUnderLoad> StartEmbeddedAsync(string resources, int appPort, CancellationToken cancellationToken) => StartAsync(async under =>
    {
        var start = new ProcessStartInfo(
            "dotnet", [Assembly.GetExecutingAssembly().Location, EmbeddedCommand.Name, resources, appPort.ToString(CultureInfo.InvariantCulture)])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            // As the launcher is; the bench is not.
            Environment = { ["DOTNET_gcServer"] = "0" },
        };
        var process = under.Run(start);
        async Task<string> ToldAsync() =>
            await process.StandardOutput.ReadLineAsync(cancellationToken) ?? throw new InvalidOperationException("The embedded sidecar ended before it told its addresses.");
        (under.CallerHttp, under.CallerGrpc, under.CalleeHttp) = (await ToldAsync(), await ToldAsync(), await ToldAsync());
    });

    /// <summary>The daprd, placement and scheduler of a folder, on the loopback.</summary>
    public static Task<SidecarsUnderLoad> StartDaprdAsync(string programs, string resources, string folder, int appPort, CancellationToken cancellationToken) =>
        StartAsync(async under =>
        {
            var (caller, callee) = ((Http: Listener.FreePort(), Grpc: Listener.FreePort()), (Http: Listener.FreePort(), Grpc: Listener.FreePort()));
            (under.CallerHttp, under.CallerGrpc, under.CalleeHttp) =
                ($"http://127.0.0.1:{caller.Http}", $"http://127.0.0.1:{caller.Grpc}", $"http://127.0.0.1:{callee.Http}");
            void Run(string program, params string[] arguments) =>
                under.Run(new ProcessStartInfo(Path.Combine(programs, program), arguments) { WorkingDirectory = folder });

            var (placement, scheduler) = (Listener.FreePort(), Listener.FreePort());
            var config = Path.Combine(folder, "config.yaml");
            // mDNS, the default, would reach beyond this machine.
            await File.WriteAllTextAsync(
                config,
                $"apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {{name: bench}}\nspec:\n  nameResolution:\n    component: sqlite\n    version: v1\n    configuration:\n      connectionString: \"{Path.Combine(folder, "names.db")}\"\n",
                cancellationToken);
            Run("placement", "--port", $"{placement}", "--healthz-port", $"{Listener.FreePort()}", "--enable-metrics=false",
                "--initial-cluster", $"dapr-placement-0=127.0.0.1:{Listener.FreePort()}");
            Run("scheduler", "--port", $"{scheduler}", "--healthz-port", $"{Listener.FreePort()}", "--enable-metrics=false",
                "--etcd-data-dir", Path.Combine(folder, "etcd"), "--etcd-client-port", $"{Listener.FreePort()}",
                "--etcd-initial-cluster", $"dapr-scheduler-server-0=http://localhost:{Listener.FreePort()}");
            foreach (var (app, ports, port) in new[] { (Caller, caller, 0), (Callee, callee, appPort) })
            {
                Run("daprd", [
                    "--app-id", app, "--app-channel-address", "127.0.0.1", "--dapr-http-port", $"{ports.Http}", "--dapr-grpc-port", $"{ports.Grpc}",
                    "--dapr-internal-grpc-port", $"{Listener.FreePort()}", "--resources-path", resources, "--config", config, "--enable-metrics=false",
                    "--log-level", "error", "--placement-host-address", $"127.0.0.1:{placement}", "--scheduler-host-address", $"127.0.0.1:{scheduler}",
                    .. port == 0 ? Array.Empty<string>() : ["--app-port", $"{port}"]]);
            }
        });

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes)
        {
            if (!process.HasExited)
                process.Kill();
            await process.WaitForExitAsync();
            process.Dispose();
        }
    }

    private static async Task<SidecarsUnderLoad> StartAsync(Func<SidecarsUnderLoad, Task> start)
    {
        var under = new SidecarsUnderLoad();
        try
        {
            await start(under);
            return under;
        }
        catch
        {
            await under.DisposeAsync();
            throw;
        }
    }

    private Process Run(ProcessStartInfo start)
    {
        var process = Process.Start(start) ?? throw new InvalidOperationException($"{start.FileName} was not started.");
        _processes.Add(process);
        return process;
    }
}
