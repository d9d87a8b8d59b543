using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using DaprOrders.Audit;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>What of a pod is asked to end first: Kubernetes asks both at once, and either may be gone while the other still works.</summary>
public enum EndsFirst
{
    Service,
    Sidecar,
}

/// <summary>
/// The services as a cluster runs them: each process with a sidecar of its own, which come and go together or one before the other, under a name that is never
/// used again.
/// </summary>
internal sealed class Pods : IAsyncDisposable
{
    /// <summary>Of each product of a load, but for one of which there is soon too little.</summary>
    private const int Plenty = 1_000_000;
    private const int Few = 40;
    private const int Buyers = 4;

    private const string PaymentProvider = "payment-provider";
    private const string Client = "client";

    /// <summary>As deploy/k8s gives it.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan ReadyWithin = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan RestWithin = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan BetweenOrders = TimeSpan.FromMilliseconds(100);

    private readonly Installation _installation;
    private readonly string _signingKeys;
    private readonly string _appToken = Convert.ToHexString(RandomNumberGenerator.GetBytes(16));
    private readonly HttpClient _http = new();
    private readonly ConcurrentDictionary<string, int> _names = [];
    private readonly ConcurrentDictionary<Pod, bool> _running = [];
    private readonly IReadOnlyDictionary<string, string> _environment;
    private readonly SystemUnderAudit _underAudit;
    private readonly SystemAudit _audit;
    private EmbeddedDapr _dapr = null!;

    private Pods(Installation installation, IReadOnlyDictionary<string, string>? environment)
    {
        _installation = installation;
        _environment = environment ?? new Dictionary<string, string>();
        _signingKeys = $"{OrdersSystem.NewSigningKey()},{NextSigningKey}";
        Shop = new Shop(_ => new Uri($"http://localhost:{_dapr[Client].HttpPort}"), _installation.PaymentProvider);
        _underAudit = new(
            app => new Uri($"{Of(app)[0].Address}/"), _installation.PaymentProvider, SystemUnderAudit.Credentials(_appToken, bearerToken: null));
        _audit = new(_underAudit);
    }

    /// <summary>Asks through a sidecar of its own, which is always there.</summary>
    public Shop Shop { get; }

    /// <summary>Everybody accepts it, and nobody signs by it yet.</summary>
    public string NextSigningKey { get; } = OrdersSystem.NewSigningKey();

    public IReadOnlyList<Pod> Of(string app) => [.. _running.Keys.Where(pod => pod.App == app).OrderBy(pod => pod.Name, StringComparer.Ordinal)];

    public static Task<Pods> StartAsync(
        int replicas, IReadOnlyDictionary<string, string>? environmentOfOdd = null, IReadOnlyDictionary<string, string>? environment = null) =>
        StartAsync(new Installation(), replicas, environmentOfOdd, environment);

    /// <param name="installation">Its broker and its store.</param>
    /// <param name="replicas">Of every service.</param>
    /// <param name="environmentOfOdd">Of every second replica.</param>
    /// <param name="environment">Of all, those that come later among them.</param>
    public static async Task<Pods> StartAsync(
        Installation installation,
        int replicas,
        IReadOnlyDictionary<string, string>? environmentOfOdd = null,
        IReadOnlyDictionary<string, string>? environment = null)
    {
        var pods = new Pods(installation, environment);
        try
        {
            pods._installation.Write();
            pods._dapr = await EmbeddedDapr.StartAsync(
                new()
                {
                    Apps = [new() { AppId = Client, AppApiToken = pods._appToken }],
                    ResourcesPaths = pods._installation.ResourceFolders,
                },
                TestContext.Current.CancellationToken);
            await pods.AddAsync(PaymentProvider);
            await Task.WhenAll(Shop.Apps.SelectMany(app => Enumerable.Range(0, replicas).Select(
                replica => pods.AddAsync(app, replica % 2 == 1 ? environmentOfOdd : null))));
            return pods;
        }
        catch
        {
            await pods.DisposeAsync();
            throw;
        }
    }

    /// <summary>Returns when it is ready.</summary>
    /// <param name="app">Its app id.</param>
    /// <param name="environment">Settings beyond those of all.</param>
    /// <param name="release">The project of another release of the service; null: this one.</param>
    public async Task<Pod> AddAsync(string app, IReadOnlyDictionary<string, string>? environment = null, string? release = null)
    {
        var name = $"{app}-{_names.AddOrUpdate(app, 0, (_, last) => last + 1).ToString("00", CultureInfo.InvariantCulture)}";
        var port = app == PaymentProvider ? _installation.PortOf(PaymentProvider, "appPort") : FreePort.Next();
        var (folder, command) = _installation.ProgramOf(app);
        var sidecar = await _dapr.AddAsync(
            new()
            {
                AppId = app,
                AppPort = port,
                Folder = folder,
                AppApiToken = _appToken,
                // As the run file has it.
                AppHealthCheck = new("/healthz/deliveries", TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1), 3),
            },
            TestContext.Current.CancellationToken);
        var start = new ProcessStartInfo(command[0], release is null ? command.Skip(1) : [Installation.ProgramBuilt(release)])
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["APP_PORT"] = port.ToString(CultureInfo.InvariantCulture);
        start.Environment["APP_API_TOKEN"] = _appToken;
        start.Environment["DAPR_HTTP_PORT"] = sidecar.HttpPort.ToString(CultureInfo.InvariantCulture);
        start.Environment["DAPR_GRPC_PORT"] = sidecar.GrpcPort.ToString(CultureInfo.InvariantCulture);
        start.Environment["EVENTS_SIGNING_KEY"] = _signingKeys;
        start.Environment["EventStore__Instance"] = name;
        start.Environment["PaymentProvider__JournalPath"] = $"{_installation.DataFolder}/payment-provider.journal";
        foreach (var (setting, value) in _environment.Concat(environment ?? new Dictionary<string, string>()))
            start.Environment[setting] = value;
        var pod = new Pod(app, name, port, Process.Start(start)!, sidecar);
        _running[pod] = true;
        await Until.TrueAsync(
            async () => pod.Process.HasExited
                ? throw new InvalidOperationException($"{name} ended with {pod.Process.ExitCode}:{Environment.NewLine}{pod.Output}")
                : await IsReadyAsync(pod),
            ReadyWithin,
            () => $"{name} did not become ready within {ReadyWithin}:{Environment.NewLine}{pod.Output}");
        return pod;
    }

    /// <summary>Ends as Kubernetes ends it; within the grace, and cleanly, or the test fails.</summary>
    public async Task RemoveAsync(Pod pod, EndsFirst first)
    {
        if (first == EndsFirst.Sidecar)
            await _dapr.RemoveAsync(pod.Sidecar, TestContext.Current.CancellationToken);
        pod.AskToEnd();
        await EndedAsync(pod);
        if (first == EndsFirst.Service)
            await _dapr.RemoveAsync(pod.Sidecar, TestContext.Current.CancellationToken);
    }

    /// <summary>The sidecar alone goes; the service does not know yet.</summary>
    public Task RemoveSidecarAsync(Pod pod) => _dapr.RemoveAsync(pod.Sidecar, TestContext.Current.CancellationToken);

    /// <summary>What is left of it is for others to find.</summary>
    public async Task KillAsync(Pod pod)
    {
        pod.Process.Kill();
        _running.TryRemove(pod, out _);
        using var atOnce = new CancellationTokenSource();
        await atOnce.CancelAsync();
        await _dapr.RemoveAsync(pod.Sidecar, atOnce.Token);
    }

    /// <summary>Once it was asked to.</summary>
    public async Task EndedAsync(Pod pod)
    {
        var began = Stopwatch.StartNew();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Grace);
        try
        {
            await pod.Process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException) when (!TestContext.Current.CancellationToken.IsCancellationRequested)
        {
            Assert.Fail($"{pod.Name} did not end within {Grace}:{Environment.NewLine}{pod.Output}");
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{pod.Name} ended after {began.Elapsed.TotalSeconds:0.0} s");
        _running.TryRemove(pod, out _);
        Assert.True(pod.Process.ExitCode == 0, $"{pod.Name} ended with {pod.Process.ExitCode}:{Environment.NewLine}{pod.Output}");
    }

    /// <summary>Buyers order while something changes; then everything that must hold does. The orders that were acknowledged.</summary>
    public async Task<IReadOnlyCollection<string>> UnderLoadAsync(Func<Task> change)
    {
        var seed = Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var received = new Dictionary<string, int>();
        foreach (var quantity in new[] { Plenty, Plenty, Few })
            received[await Shop.StockAsync(quantity)] = quantity;
        var load = new Load(Shop, [.. received.Keys], seed);
        using var stop = new CancellationTokenSource();
        var buying = load.RunAsync(Buyers, BetweenOrders, stop.Token);
        try
        {
            await change();
        }
        finally
        {
            await stop.CancelAsync();
            await buying.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await buying;
        Assert.NotEmpty(load.Acknowledged);
        TestContext.Current.TestOutputHelper?.WriteLine($"{load.Acknowledged.Count} orders acknowledged, {load.SentAgain} sent again");
        await AuditAsync(load.Acknowledged, received);
        return load.Acknowledged;
    }

    /// <summary>Waits for the flow to come to rest; then everything that must hold of it does.</summary>
    public async Task AuditAsync(IReadOnlyCollection<string> orders, IReadOnlyDictionary<string, int> received)
    {
        var report = await _audit.RunAsync(RestWithin, new AuditKnowledge(orders, received), TestContext.Current.CancellationToken);
        TestContext.Current.TestOutputHelper?.WriteLine($"{report}");
        Assert.True(report.Holds, $"{report}{Environment.NewLine}{string.Join(Environment.NewLine, _running.Keys.Select(pod => $"{pod.Name}: {pod.Output}"))}");
    }

    /// <summary>
    /// The lanes of a service's event log do not pile up: whoever is gone has left none to itself, since another instance has published what was in it and gave
    /// it back for the next one.
    /// </summary>
    public async Task LanesAreTakenOverAsync(string app)
    {
        var lanes = await Until.Async(
            () => LanesAsync(app),
            lanes => lanes.Count(lane => StateOf(lane) == "held") <= Of(app).Count && lanes.All(lane => StateOf(lane) != "leftBehind" && lane["unpublished"]!.GetValue<long>() == 0),
            $"{app} to have no lane of an instance that is gone");
        Assert.InRange(lanes.Count, 1, 3);

        static string StateOf(JsonNode lane) => lane["state"]!.GetValue<string>();
    }

    private async Task<IReadOnlyList<JsonNode>> LanesAsync(string app)
    {
        using var answer = await AskAsync(Of(app)[0], "event-log");
        return [.. (await Shop.ReadAsync(answer, HttpStatusCode.OK))["lanes"]!.AsArray().Select(lane => lane!)];
    }

    /// <summary>Asks this pod and no other, as Reporting may.</summary>
    public Task<HttpResponseMessage> AskAsync(Pod pod, string path) => AskAsync(pod, HttpMethod.Get, path);

    public async Task<HttpResponseMessage> AskAsync(Pod pod, HttpMethod method, string path)
    {
        using var request = new HttpRequestMessage(method, $"{pod.Address}/{path}");
        foreach (var (name, value) in SystemUnderAudit.Credentials(_appToken, bearerToken: null))
            request.Headers.Add(name, value);
        return await _http.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pod in _running.Keys)
        {
            pod.Process.Kill();
            await pod.Process.WaitForExitAsync();
            pod.Process.Dispose();
        }

        if (_dapr is not null)
            await _dapr.DisposeAsync();
        Shop.Dispose();
        _http.Dispose();
        _underAudit.Dispose();
        _installation.Dispose();
    }

    private async Task<bool> IsReadyAsync(Pod pod)
    {
        try
        {
            using var answer = await _http.GetAsync($"{pod.Address}{(pod.App == PaymentProvider ? "/ledger?limit=1" : "/healthz/ready")}", TestContext.Current.CancellationToken);
            return answer.IsSuccessStatusCode;
        }
        catch (HttpRequestException)
        {
            return false;
        }
    }
}

/// <summary>One process of a service and its sidecar.</summary>
internal sealed class Pod
{
    private const int LastLines = 40;

    private readonly ConcurrentQueue<string> _output = [];

    public Pod(string app, string name, int port, Process process, SidecarHost sidecar)
    {
        (App, Name, Address, Process, Sidecar) = (app, name, $"http://localhost:{port}", process, sidecar);
        process.OutputDataReceived += Keep;
        process.ErrorDataReceived += Keep;
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
    }

    public string App { get; }

    public string Name { get; }

    public string Address { get; }

    public Process Process { get; }

    public SidecarHost Sidecar { get; }

    public string Output => string.Join(Environment.NewLine, _output);

    public void AskToEnd()
    {
        using var kill = Process.Start("kill", ["-TERM", Process.Id.ToString(CultureInfo.InvariantCulture)]);
        kill.WaitForExit();
    }

    private void Keep(object sender, DataReceivedEventArgs line)
    {
        if (line.Data is not { } text)
            return;
        _output.Enqueue(text);
        while (_output.Count > LastLines)
            _output.TryDequeue(out _);
    }
}
