using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>Prometheus with deploy/observability/prometheus.yaml, but for the ports, and every second.</summary>
internal sealed partial class PrometheusServer : IAsyncDisposable
{
    /// <summary>As docs/observability.md has it.</summary>
    private static readonly string[] Command = "prometheus --config.file=deploy/observability/prometheus.yaml".Split(' ');

    private static readonly string? Program = ServerProgram.Find(Command[0]);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("daprorders-prometheus-");
    private readonly HttpClient _http;
    private readonly int _port = FreePort.Next();
    private Process? _process;

    private PrometheusServer() => _http = new() { BaseAddress = new($"http://127.0.0.1:{_port.ToString(CultureInfo.InvariantCulture)}/api/v1/") };

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static void Require() => ServerProgram.Require(Program is null ? "Prometheus is not installed (on Debian: apt-get install prometheus)" : null);

    /// <param name="shipped">deploy/observability.</param>
    /// <param name="portOf">The port of an app, by the name of its field in the run file.</param>
    public static async Task<PrometheusServer> StartAsync(string shipped, Func<string, string, int> portOf)
    {
        var server = new PrometheusServer();
        var config = await File.ReadAllTextAsync(Path.Combine(shipped, "prometheus.yaml"), Cancellation);
        // Tests without a browser start no console.
        config = string.Join('\n', config.Split('\n').Where(line => !line.Contains("app: console", StringComparison.Ordinal)));
        config = Target().Replace(config, target =>
            $"localhost:{portOf(target.Groups["app"].Value, target.Groups["port"].Value[0] == '5' ? "appPort" : "metricsPort")}{target.Groups["rest"].Value}{target.Groups["app"].Value}");
        config = config.Replace("scrape_interval: 15s", "scrape_interval: 1s\n  evaluation_interval: 1s", StringComparison.Ordinal);
        await File.WriteAllTextAsync(Path.Combine(server._folder.FullName, "prometheus.yaml"), config, Cancellation);
        File.Copy(Path.Combine(shipped, "alerts.yaml"), Path.Combine(server._folder.FullName, "alerts.yaml"));
        server._process = await ServerProgram.StartAsync(
            Program!,
            [.. Command[1..].Select(word => word.Replace("deploy/observability", server._folder.FullName, StringComparison.Ordinal)), $"--storage.tsdb.path={Path.Combine(server._folder.FullName, "data")}", $"--web.listen-address=127.0.0.1:{server._port}"],
            "Server is ready to receive web requests", Cancellation);
        return server;
    }

    public async Task<JsonArray> QueryAsync(string expression) => (await DataAsync($"query?query={Uri.EscapeDataString(expression)}"))["result"]!.AsArray();

    public async Task<IReadOnlyList<string>> NamesAsync() => [.. (await DataAsync("label/__name__/values")).AsArray().Select(name => $"{name}")];

    public async Task<IReadOnlyList<JsonNode?>> RulesAsync() => [.. (await DataAsync("rules"))["groups"]!.AsArray().SelectMany(group => group!["rules"]!.AsArray())];

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            _process.Kill();
            await _process.WaitForExitAsync();
            _process.Dispose();
        }

        _http.Dispose();
        _folder.Delete(recursive: true);
    }

    private async Task<JsonNode> DataAsync(string path) => (await _http.GetFromJsonAsync<JsonNode>(path, Cancellation))!["data"]!;

    [GeneratedRegex(@"localhost:(?<port>\d+)(?<rest>\], labels: \{ app: )(?<app>\w+)")]
    private static partial Regex Target();
}
