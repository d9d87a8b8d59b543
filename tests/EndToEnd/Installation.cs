using System.Globalization;
using System.Reflection;
using System.Text.Json.Nodes;
using DaprOrders.Tests.Servers;
using YamlDotNet.RepresentationModel;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>
/// The shipped run file and components in a folder of their own, on free ports and with their own data, so that a test neither disturbs nor
/// meets a system that is running beside it. What a test changes in it, it changes before the start.
/// </summary>
internal sealed class Installation : IDisposable
{
    private const string PaymentProviderApp = "payment-provider";

    internal static string RepositoryRoot { get; } = Path.GetFullPath(Metadata("RepositoryRoot").Replace('\\', '/')).Replace('\\', '/').TrimEnd('/');
    private static readonly string Configuration = Metadata("Configuration");

    private readonly YamlStream _runFile = [];
    private readonly List<YamlMappingNode> _apps;
    private readonly Dictionary<string, int> _portsHere = new(StringComparer.Ordinal);
    private string _components = "local";

    /// <param name="replicas">Of every service; there is one payment provider.</param>
    /// <param name="withConsole">Only people need it, so only tests that look at it start it.</param>
    public Installation(int replicas = 1, bool withConsole = false)
    {
        Folder = Directory.CreateTempSubdirectory("daprorders-").FullName.Replace('\\', '/');
        DataFolder = $"{Folder}/data";
        using (var shipped = File.OpenText(Path.Combine(RepositoryRoot, "dapr.yaml")))
            _runFile.Load(shipped);
        var root = (YamlMappingNode)_runFile.Documents[0].RootNode;
        var apps = (YamlSequenceNode)root["apps"];
        if (!withConsole)
            apps.Children.Remove(apps.Children.Single(app => IdOf((YamlMappingNode)app) == "console"));
        foreach (var app in apps.Children.Cast<YamlMappingNode>().Where(app => IdOf(app) != PaymentProviderApp).ToList())
        {
            for (var replica = 1; replica < replicas; replica++)
                apps.Add(new YamlMappingNode(app.Children.Select(field => KeyValuePair.Create(field.Key, field.Value))));
        }

        _apps = [.. apps.Children.Cast<YamlMappingNode>()];
        foreach (var app in _apps)
        {
            foreach (var field in app.Children.Keys.Cast<YamlScalarNode>().Where(field => field.Value!.EndsWith("Port", StringComparison.Ordinal)).ToList())
            {
                var port = FreePort.Next();
                // Replicas come after the first.
                _portsHere.TryAdd($"{app[field]}", port);
                app.Children[field] = Number(port);
            }

            app.Children["appDirPath"] = $"{RepositoryRoot}/{app["appDirPath"]}";
            app.Children["command"] = new YamlSequenceNode(
                ((YamlSequenceNode)app["command"]).Select(part => (YamlNode)$"{part}".Replace("/release/", $"/{Configuration}/", StringComparison.Ordinal)));
        }

        foreach (var file in Directory.EnumerateFiles(Path.Combine(RepositoryRoot, "components"), "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(Folder, Path.GetRelativePath(RepositoryRoot, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        StandBeforePaymentProvider(PortOf(PaymentProviderApp, "appPort"));
    }

    public string Folder { get; }

    /// <summary>What the components and the payment provider keep.</summary>
    public string DataFolder { get; set; }

    public string RunFile => Path.Combine(Folder, "dapr.yaml");

    /// <summary>What a user says to the launcher to run this; the broker and the store are those of a folder of components.</summary>
    public IEnumerable<string> Options => ["--run-file", RunFile, "--resources-path", Chosen];

    /// <summary>Where the resources of these options are, for sidecars without the launcher.</summary>
    public IReadOnlyList<string> ResourceFolders => [Common, Chosen];

    /// <summary>Where the launcher writes down its processes.</summary>
    public string ProcessRecord => Path.Combine(Folder, ".dapr", "processes.json");

    public static string Sidecar => ProgramBuilt("Sidecar");

    /// <summary>The assembly that a project's build has made.</summary>
    public static string ProgramBuilt(string project) => Path.Combine(RepositoryRoot, "artifacts", "bin", project, Configuration, $"DaprOrders.{project}.dll");

    public Uri DaprOf(string app, int replica = 0) => new($"http://localhost:{PortOf(app, "daprHTTPPort", replica)}");

    public Uri PaymentProvider => new($"http://localhost:{PortOf(PaymentProviderApp, "appPort")}");

    public int PortOf(string app, string field, int replica = 0) =>
        int.Parse($"{AppsOf(app).ElementAt(replica)[field]}", CultureInfo.InvariantCulture);

    /// <summary>A text that names addresses as the shipped run file has them, with the ports that they have here.</summary>
    public string WithPortsHere(string text) => System.Text.RegularExpressions.Regex.Replace(
        text, @"(?<=//localhost:)\d+", shipped => _portsHere.TryGetValue(shipped.Value, out var port) ? port.ToString(CultureInfo.InvariantCulture) : shipped.Value);

    /// <summary>The folder in which an app is started, and its command.</summary>
    public (string Folder, IReadOnlyList<string> Command) ProgramOf(string app)
    {
        var one = AppsOf(app).First();
        return ($"{one["appDirPath"]}", [.. ((YamlSequenceNode)one["command"]).Select(part => $"{part}")]);
    }

    /// <summary>A setting for every process of an app.</summary>
    public void Set(string app, string setting, string value)
    {
        foreach (var one in AppsOf(app))
            Environment(one).Children[setting] = value;
    }

    /// <summary>From now on its sidecar calls the app at another port, where somebody passes the calls on to the one that is returned.</summary>
    public int StandBefore(string app, int port, int replica = 0)
    {
        var own = PortOf(app, "appPort", replica);
        var one = AppsOf(app).ElementAt(replica);
        one.Children["appPort"] = Number(port);
        Environment(one).Children["APP_PORT"] = Number(own);
        return own;
    }

    /// <summary>Payments calls the provider at another port.</summary>
    public void StandBeforePaymentProvider(int port) =>
        Replace("payment-provider.yaml", text => System.Text.RegularExpressions.Regex.Replace(text, @"(baseUrl: http://localhost:)\d+", $"${{1}}{port}"));

    public void Replace(string resource, Func<string, string> change)
    {
        var path = new[] { Common, Chosen }.Select(folder => Path.Combine(folder, resource)).Single(File.Exists);
        File.WriteAllText(path, change(File.ReadAllText(path)));
    }

    /// <summary>Another broker and another store by the option alone: a folder of components as it is shipped, but for the addresses of its servers.</summary>
    public void Use(string components, params (string Shipped, string Actual)[] addresses)
    {
        _components = components;
        foreach (var file in Directory.GetFiles(Chosen))
        {
            var text = File.ReadAllText(file);
            foreach (var (shipped, actual) in addresses)
                text = text.Replace(shipped, actual, StringComparison.Ordinal);
            File.WriteAllText(file, text);
        }
    }

    /// <summary>What a user of components/nats does before the first start.</summary>
    public Task MakeStreamsAsync(CancellationToken cancel)
    {
        Write();
        return ServerProgram.RunAsync("dotnet", [Sidecar, "streams", .. Options], cancel);
    }

    /// <summary>The services find the keys that events are signed by in a Dapr secret store.</summary>
    public void KeepSigningKey(string key)
    {
        var file = $"{Folder}/secrets.json";
        File.WriteAllText(file, new JsonObject { ["events-signing-key"] = key }.ToJsonString());
        File.WriteAllText(Path.Combine(Common, "secretstore.yaml"), $"""
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: secretstore
            spec:
              type: secretstores.local.file
              version: v1
              metadata:
                - name: secretsFile
                  value: {file}
            """);
        foreach (var app in _apps.Select(IdOf).Where(app => app != PaymentProviderApp).Distinct())
            Set(app, "EVENTS_SIGNING_KEY_SECRET", "secretstore/events-signing-key");
    }

    public void Write()
    {
        Set(PaymentProviderApp, "PaymentProvider__JournalPath", $"{DataFolder}/payment-provider.journal");
        foreach (var resource in new[] { "statestore.yaml", "pubsub.yaml" })
            Replace(resource, text => text.Replace("value: ../../data/", $"value: {DataFolder}/", StringComparison.Ordinal));
        using var file = File.CreateText(RunFile);
        _runFile.Save(file, assignAnchors: false);
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(Folder, recursive: true);
        }
        catch (IOException)
        {
            // A file that a process which is just ending still holds open on Windows; the system clears its temporary folder.
        }
    }

    private string Common => Path.Combine(Folder, "components", "common");

    private string Chosen => Path.Combine(Folder, "components", _components);

    private static string IdOf(YamlMappingNode app) => $"{app["appID"]}";

    private static YamlMappingNode Environment(YamlMappingNode app)
    {
        if (!app.Children.TryGetValue("env", out var env))
            app.Children["env"] = env = new YamlMappingNode();
        return (YamlMappingNode)env;
    }

    private static YamlScalarNode Number(int number) => new(number.ToString(CultureInfo.InvariantCulture));

    private static string Metadata(string key) =>
        typeof(Installation).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == key).Value!;

    private IEnumerable<YamlMappingNode> AppsOf(string app) => _apps.Where(one => IdOf(one) == app);
}
