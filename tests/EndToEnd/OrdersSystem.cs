using System.Collections.Concurrent;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using DaprOrders.Audit;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>All services as processes of their own under the launcher, as a user starts them; driven over HTTP only.</summary>
public sealed class OrdersSystem : IAsyncLifetime
{
    private static readonly TimeSpan StartWithin = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan RestWithin = TimeSpan.FromMinutes(5);

    private static readonly string SigningKey = NewSigningKey();
    internal static readonly string AppToken = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));

    private readonly Installation _installation;
    private readonly SystemUnderAudit _underAudit;
    private readonly SystemAudit _audit;
    private readonly ConcurrentQueue<string> _output = [];
    private readonly bool _keyInEnvironment = true;
    private Process? _launcher;

    /// <summary>The one that most tests share. Its key is in a secret store, that of other installations in the environment.</summary>
    public OrdersSystem()
        : this(new Installation())
    {
        _installation.KeepSigningKey(SigningKey);
        _keyInEnvironment = false;
    }

    internal OrdersSystem(Installation installation)
    {
        _installation = installation;
        Shop = new Shop(app => installation.DaprOf(app), installation.PaymentProvider);
        _underAudit = new(app => new Uri($"http://localhost:{installation.PortOf(app, "appPort")}/"), installation.PaymentProvider, SystemUnderAudit.Credentials(AppToken, bearerToken: null));
        _audit = new(_underAudit);
    }

    internal static string NewSigningKey() => Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    public Shop Shop { get; }

    internal int LauncherId => _launcher!.Id;

    public string Output => string.Join(Environment.NewLine, _output);

    /// <summary>Runs the launcher another way than by its name.</summary>
    internal Func<string[], ProcessStartInfo> Launcher { get; init; } = arguments => new ProcessStartInfo("dotnet", arguments);

    internal static async Task<OrdersSystem> StartAsync(Installation installation)
    {
        var system = new OrdersSystem(installation);
        await system.InitializeAsync();
        return system;
    }

    public async ValueTask InitializeAsync()
    {
        _installation.Write();
        await StartAsync();
    }

    public async Task StartAsync()
    {
        var start = Launcher([Installation.Sidecar, .. _installation.Options]);
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        start.WorkingDirectory = _installation.Folder;
        start.Environment["APP_API_TOKEN"] = AppToken;
        if (_keyInEnvironment)
            start.Environment["EVENTS_SIGNING_KEY"] = SigningKey;
        _launcher = Process.Start(start) ?? throw new InvalidOperationException("The launcher was not started.");
        _launcher.OutputDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        _launcher.ErrorDataReceived += (_, line) => _output.Enqueue(line.Data ?? "");
        _launcher.BeginOutputReadLine();
        _launcher.BeginErrorReadLine();

        await Until.TrueAsync(
            async () => _launcher.HasExited
                ? throw new InvalidOperationException($"The launcher ended with {_launcher.ExitCode}:{Environment.NewLine}{Output}")
                : await Shop.IsReadyAsync(),
            StartWithin,
            () => $"Not every service became ready within {StartWithin}:{Environment.NewLine}{Output}");
    }

    /// <summary>kill -9 of the launcher, its sidecars and every service, all at once.</summary>
    public async Task KillAsync()
    {
        _launcher!.Kill(entireProcessTree: true);
        await _launcher.WaitForExitAsync();
    }

    /// <summary>kill -9 of one service, or of one of its replicas; the launcher starts it again. False: it is not running just now.</summary>
    public bool Kill(string app, Random random)
    {
        var processes = ((JsonArray)JsonNode.Parse(File.ReadAllText(_installation.ProcessRecord))!)
            .Where(process => process!["Name"]!.GetValue<string>() == app).Select(process => process!["Id"]!.GetValue<int>()).ToArray();
        if (processes.Length == 0)
            return false;
        try
        {
            using var process = Process.GetProcessById(processes[random.Next(processes.Length)]);
            process.Kill();
            return true;
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <param name="field">As the run file calls it.</param>
    public int PortOf(string app, string field) => _installation.PortOf(app, field);

    /// <summary>What the sidecar of an application tells Prometheus.</summary>
    public async Task<string> SidecarMetricsAsync(string app)
    {
        using var http = new HttpClient();
        return await http.GetStringAsync(new Uri($"http://localhost:{_installation.PortOf(app, "metricsPort")}/metrics"), TestContext.Current.CancellationToken);
    }

    /// <summary>Waits for the flow to come to rest; then everything that must hold of it does.</summary>
    /// <param name="orders">Every order that was acknowledged.</param>
    /// <param name="received">What was received of each SKU.</param>
    public async Task<AuditReport> AuditAsync(IReadOnlyCollection<string> orders, IReadOnlyDictionary<string, int> received)
    {
        var report = await _audit.RunAsync(RestWithin, new AuditKnowledge(orders, received), TestContext.Current.CancellationToken);
        TestContext.Current.TestOutputHelper?.WriteLine($"{report}");
        Assert.True(report.Holds, $"{report}{Environment.NewLine}{string.Join(Environment.NewLine, _output.TakeLast(60))}");
        return report;
    }

    /// <summary>A command of the launcher, against this system as it runs: its exit code and what it wrote.</summary>
    public async Task<(int ExitCode, string Output)> RunAsync(params string[] command)
    {
        var start = new ProcessStartInfo("dotnet", [Installation.Sidecar, .. command, .. _installation.Options]) { RedirectStandardOutput = true };
        start.Environment["APP_API_TOKEN"] = AppToken;
        using var process = Process.Start(start)!;
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return (process.ExitCode, output);
    }

    public async ValueTask DisposeAsync()
    {
        if (_launcher is { HasExited: false })
        {
            await KillAsync();
        }

        _launcher?.Dispose();
        Shop.Dispose();
        _underAudit.Dispose();
        _installation.Dispose();
    }
}
