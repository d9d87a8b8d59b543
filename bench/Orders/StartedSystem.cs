using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using DaprOrders.ServiceDefaults.Observability;
using YamlDotNet.RepresentationModel;

namespace DaprOrders.Bench.Orders;

/// <summary>
/// The services of dapr.yaml under the launcher, some of them twice: a second application of the same id, at ports 10 higher. What they keep is in a folder of
/// the caller's.
/// </summary>
internal sealed class StartedSystem : IAsyncDisposable
{
    private const int PortsApart = 10;
    private const int LastLines = 30;

    private static readonly TimeSpan ReadyWithin = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false }) { Timeout = TimeSpan.FromSeconds(30) };
    private readonly ConcurrentQueue<string> _output = [];
    private readonly List<(string App, Uri Address)> _processes = [];
    private readonly Process _launcher;

    private StartedSystem(string folder, string components, Func<string, int> replicas, IReadOnlyDictionary<string, string> environment)
    {
        var root = Root();
        Directory.CreateDirectory(folder);
        CopyComponents(root, folder);
        var runFile = Path.Combine(folder, "dapr.yaml");
        WriteRunFile(root, runFile, replicas, environment);
        var launcher = Path.Combine(root, "artifacts", "bin", "Sidecar", "release", "DaprOrders.Sidecar.dll");
        var start = new ProcessStartInfo("dotnet", [launcher, "--run-file", runFile, "--resources-path", Path.Combine(folder, "components", components)])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        _launcher = Process.Start(start) ?? throw new InvalidOperationException("The launcher was not started.");
        _launcher.OutputDataReceived += Keep;
        _launcher.ErrorDataReceived += Keep;
        _launcher.BeginOutputReadLine();
        _launcher.BeginErrorReadLine();
    }

    /// <param name="folder">What is in it from a start before is used again.</param>
    /// <param name="components">A folder of components/.</param>
    /// <param name="replicas">By app id; what has none does not run.</param>
    /// <param name="environment">Settings for all services.</param>
    public static async Task<StartedSystem> StartAsync(
        string folder, string components, Func<string, int> replicas, IReadOnlyDictionary<string, string> environment, CancellationToken cancellationToken)
    {
        var system = new StartedSystem(folder, components, replicas, environment);
        try
        {
            var clock = Stopwatch.StartNew();
            using var timer = new PeriodicTimer(Poll);
            while (!await system.IsReadyAsync(cancellationToken))
            {
                if (system._launcher.HasExited || clock.Elapsed > ReadyWithin)
                    throw new InvalidOperationException($"The system did not become ready:{Environment.NewLine}{string.Join(Environment.NewLine, system._output)}");
                await timer.WaitForNextTickAsync(cancellationToken);
            }

            return system;
        }
        catch
        {
            await system.DisposeAsync();
            throw;
        }
    }

    public IReadOnlyList<Uri> AddressesOf(string app) => [.. _processes.Where(process => process.App == app).Select(process => process.Address)];

    /// <summary>A counter of all replicas together; what has not counted yet is 0.</summary>
    public async Task<double> CounterAsync(string app, string counter, CancellationToken cancellationToken)
    {
        var texts = await Task.WhenAll(AddressesOf(app).Select(address => _http.GetStringAsync(new Uri(address, "metrics"), cancellationToken)));
        return texts.SelectMany(text => PrometheusText.Read(text, counter)).Where(sample => sample.Name == counter).Sum(sample => sample.Value);
    }

    /// <summary>At once and without warning: what was committed is there at the next start.</summary>
    public async ValueTask DisposeAsync()
    {
        _launcher.Kill(entireProcessTree: true);
        await _launcher.WaitForExitAsync();
        _launcher.Dispose();
        _http.Dispose();
    }

    private async Task<bool> IsReadyAsync(CancellationToken cancellationToken)
    {
        foreach (var (_, address) in _processes)
        {
            try
            {
                using var answer = await _http.GetAsync(new Uri(address, "healthz/ready"), cancellationToken);
                if (!answer.IsSuccessStatusCode)
                    return false;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        }

        return true;
    }

    private void WriteRunFile(string root, string file, Func<string, int> replicas, IReadOnlyDictionary<string, string> environment)
    {
        YamlStream yaml = [];
        using (var shipped = File.OpenText(Path.Combine(root, "dapr.yaml")))
            yaml.Load(shipped);
        var apps = (YamlSequenceNode)((YamlMappingNode)yaml.Documents[0].RootNode)["apps"];
        var all = apps.Cast<YamlMappingNode>().ToList();
        apps.Children.Clear();
        foreach (var app in all)
        {
            for (var replica = 0; replica < replicas($"{app["appID"]}"); replica++)
                apps.Add(Replica(app, replica, root, file, environment));
        }

        using var written = File.CreateText(file);
        yaml.Save(written, assignAnchors: false);
    }

    private YamlMappingNode Replica(YamlMappingNode app, int number, string root, string file, IReadOnlyDictionary<string, string> environment)
    {
        var replica = new YamlMappingNode(app.Children.Select(field => KeyValuePair.Create(
            field.Key, $"{field.Key}".EndsWith("Port", StringComparison.Ordinal) ? Shifted(field.Value, number * PortsApart) : field.Value)));
        replica.Children["appDirPath"] = $"{root}/{app["appDirPath"]}";
        var env = new YamlMappingNode(environment.Select(setting => KeyValuePair.Create((YamlNode)setting.Key, (YamlNode)setting.Value)));
        env.Children["PaymentProvider__JournalPath"] = $"{Path.GetDirectoryName(file)}/data/payment-provider.journal";
        replica.Children["env"] = env;
        _processes.Add(($"{app["appID"]}", new Uri($"http://localhost:{replica["appPort"]}/")));
        return replica;
    }

    private static YamlScalarNode Shifted(YamlNode port, int by) =>
        new((int.Parse($"{port}", CultureInfo.InvariantCulture) + by).ToString(CultureInfo.InvariantCulture));

    /// <summary>As they are shipped: files of theirs go to data/ of this folder, servers are where they say.</summary>
    private static void CopyComponents(string root, string folder)
    {
        var shipped = Path.Combine(root, "components");
        foreach (var file in Directory.EnumerateFiles(shipped, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(folder, "components", Path.GetRelativePath(shipped, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.WriteAllText(copy, File.ReadAllText(file).Replace("value: ../../data/", $"value: {folder.Replace('\\', '/')}/data/", StringComparison.Ordinal));
        }
    }

    private static string Root()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "dapr.yaml")))
                return folder.FullName.Replace('\\', '/');
        }

        throw new InvalidOperationException($"No folder above {AppContext.BaseDirectory} holds a dapr.yaml: expected the bench where it was built.");
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
