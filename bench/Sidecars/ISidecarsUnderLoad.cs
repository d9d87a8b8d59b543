using System.Diagnostics;
using DaprOrders.Bench.EventStores;

namespace DaprOrders.Bench.Sidecars;

/// <summary>Two sidecars: of a caller without a port, and of the application that is called.</summary>
internal interface ISidecarsUnderLoad : IAsyncDisposable
{
    const string Caller = "caller";
    const string Callee = "callee";

    string CallerHttp { get; }

    string CallerGrpc { get; }

    /// <summary>Where /v1.0/healthz answers 204 once the application was asked all there is to ask.</summary>
    string CalleeHttp { get; }
}

/// <summary>In this process.</summary>
internal sealed class EmbeddedUnderLoad(EmbeddedDapr dapr) : ISidecarsUnderLoad
{
    public string CallerHttp => dapr[ISidecarsUnderLoad.Caller].HttpEndpoint;

    public string CallerGrpc => dapr[ISidecarsUnderLoad.Caller].GrpcEndpoint;

    public string CalleeHttp => dapr[ISidecarsUnderLoad.Callee].HttpEndpoint;

    public static async Task<EmbeddedUnderLoad> StartAsync(string resources, int appPort, CancellationToken cancellationToken) => new(await EmbeddedDapr.StartAsync(
        new EmbeddedDaprOptions
        {
            Apps = [new SidecarOptions { AppId = ISidecarsUnderLoad.Caller }, new SidecarOptions { AppId = ISidecarsUnderLoad.Callee, AppPort = appPort }],
            ResourcesPaths = [resources],
        },
        cancellationToken));

    public ValueTask DisposeAsync() => dapr.DisposeAsync();
}

/// <summary>The daprd, placement and scheduler of a folder, as processes on the loopback.</summary>
internal sealed class DaprdUnderLoad : ISidecarsUnderLoad
{
    private readonly List<Process> _processes = [];
    private readonly (int Http, int Grpc) _caller = (Listener.FreePort(), Listener.FreePort());
    private readonly (int Http, int Grpc) _callee = (Listener.FreePort(), Listener.FreePort());

    public string CallerHttp => $"http://127.0.0.1:{_caller.Http}";

    public string CallerGrpc => $"http://127.0.0.1:{_caller.Grpc}";

    public string CalleeHttp => $"http://127.0.0.1:{_callee.Http}";

    public static async Task<DaprdUnderLoad> StartAsync(string programs, string resources, string folder, int appPort, CancellationToken cancellationToken)
    {
        var under = new DaprdUnderLoad();
        try
        {
            var (placement, scheduler) = (Listener.FreePort(), Listener.FreePort());
            var config = Path.Combine(folder, "config.yaml");
            // mDNS, the default, would reach beyond this machine.
            await File.WriteAllTextAsync(
                config,
                $"apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {{name: bench}}\nspec:\n  nameResolution:\n    component: sqlite\n    version: v1\n    configuration:\n      connectionString: \"{Path.Combine(folder, "names.db")}\"\n",
                cancellationToken);
            under.Run(programs, folder, "placement", "--port", $"{placement}", "--healthz-port", $"{Listener.FreePort()}", "--enable-metrics=false",
                "--initial-cluster", $"dapr-placement-0=127.0.0.1:{Listener.FreePort()}");
            under.Run(programs, folder, "scheduler", "--port", $"{scheduler}", "--healthz-port", $"{Listener.FreePort()}", "--enable-metrics=false",
                "--etcd-data-dir", Path.Combine(folder, "etcd"), "--etcd-client-port", $"{Listener.FreePort()}",
                "--etcd-initial-cluster", $"dapr-scheduler-server-0=http://localhost:{Listener.FreePort()}");
            foreach (var (app, ports, port) in new[] { (ISidecarsUnderLoad.Caller, under._caller, 0), (ISidecarsUnderLoad.Callee, under._callee, appPort) })
            {
                under.Run(programs, folder, "daprd", [
                    "--app-id", app, "--app-channel-address", "127.0.0.1", "--dapr-http-port", $"{ports.Http}", "--dapr-grpc-port", $"{ports.Grpc}",
                    "--dapr-internal-grpc-port", $"{Listener.FreePort()}", "--resources-path", resources, "--config", config, "--enable-metrics=false",
                    "--log-level", "error", "--placement-host-address", $"127.0.0.1:{placement}", "--scheduler-host-address", $"127.0.0.1:{scheduler}",
                    .. port == 0 ? Array.Empty<string>() : ["--app-port", $"{port}"]]);
            }

            return under;
        }
        catch
        {
            await under.DisposeAsync();
            throw;
        }
    }

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

    private void Run(string programs, string folder, string program, params string[] arguments) =>
        _processes.Add(Process.Start(new ProcessStartInfo(Path.Combine(programs, program), arguments) { WorkingDirectory = folder })!);
}
