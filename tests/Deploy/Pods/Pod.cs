using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using EmbeddedSidecar;

namespace DaprOrders.Deploy.Tests.Pods;

/// <summary>Inventory as a process of its own under a name of its own, as each pod has one, and its sidecar.</summary>
internal sealed class Pod : IAsyncDisposable
{
    private static readonly TimeSpan StartsWithin = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LooksEvery = TimeSpan.FromMilliseconds(100);

    private readonly Process _process;

    private Pod(SidecarHost sidecar, Process process, int port)
    {
        (Sidecar, _process) = (sidecar, process);
        Http = new HttpClient { BaseAddress = new Uri($"http://localhost:{port}"), Timeout = StartsWithin };
    }

    public SidecarHost Sidecar { get; }

    public HttpClient Http { get; }

    public Task Ended => _process.WaitForExitAsync(Cancellation);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Returns when the service takes commands.</summary>
    public static async Task<Pod> StartAsync(EmbeddedDapr dapr, string name, int port)
    {
        var sidecar = await dapr.AddAsync(new SidecarOptions { AppId = "inventory", AppPort = port }, Cancellation);
        var start = new ProcessStartInfo("dotnet", [ServiceProgram])
        {
            RedirectStandardOutput = true,
            Environment =
            {
                ["APP_PORT"] = $"{port}",
                ["DAPR_HTTP_ENDPOINT"] = $"http://127.0.0.1:{sidecar.HttpPort}",
                ["DAPR_GRPC_ENDPOINT"] = $"http://127.0.0.1:{sidecar.GrpcPort}",
                ["EventStore__Instance"] = name,
                ["DOTNET_ENVIRONMENT"] = "Production",
            },
        };
        foreach (var setting in new[] { "APP_API_TOKEN", "DAPR_API_TOKEN", "EVENTS_SIGNING_KEY", "EVENTS_SIGNING_KEY_SECRET" })
            start.Environment.Remove(setting);
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        var pod = new Pod(sidecar, process, port);
        var patience = Stopwatch.StartNew();
        while (!await pod.TakesCommandsAsync())
        {
            Assert.True(!process.HasExited && patience.Elapsed < StartsWithin, $"{name} did not start.");
            await Task.Delay(LooksEvery, Cancellation);
        }

        return pod;
    }

    /// <summary>SIGTERM.</summary>
    public async Task AskToEndAsync()
    {
        using var kill = Process.Start("kill", ["-TERM", $"{_process.Id}"]);
        await kill.WaitForExitAsync(Cancellation);
    }

    public void Kill() => _process.Kill();

    /// <summary>What became of a request for a new product: the status of its answer, or why there was none.</summary>
    public async Task<string> ListAsync(string sku)
    {
        try
        {
            using var answer = await Http.PutAsJsonAsync($"/products/{sku}", new { name = "Tea", price = new { amount = 4.20m, currency = "EUR" } }, Cancellation);
            return $"{answer.StatusCode}";
        }
        catch (HttpRequestException e)
        {
            return $"{e.HttpRequestError}";
        }
    }

    public async Task<bool> HasAsync(string sku)
    {
        using var answer = await Http.GetAsync(new Uri($"/products/{sku}", UriKind.Relative), Cancellation);
        return answer.StatusCode switch
        {
            HttpStatusCode.OK => true,
            HttpStatusCode.NotFound => false,
            var other => throw new InvalidOperationException($"{sku}: {other}"),
        };
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            _process.Kill();
        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
        Http.Dispose();
    }

    private static string ServiceProgram => RepositoryFiles.PathOf(
        "artifacts", "bin", "Inventory", Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory)), "DaprOrders.Inventory.dll");

    private async Task<bool> TakesCommandsAsync()
    {
        try
        {
            using var answer = await Http.GetAsync(new Uri("/healthz/deliveries", UriKind.Relative), Cancellation);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}
