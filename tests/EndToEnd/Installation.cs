using System.Reflection;
using System.Text.RegularExpressions;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>
/// The shipped run file and components in a folder of their own, on free ports and with their own data, so that a test neither disturbs nor
/// meets a system that is running beside it.
/// </summary>
internal sealed partial class Installation : IDisposable
{
    private static readonly string Root = Path.GetFullPath(Metadata("RepositoryRoot").Replace('\\', '/'));
    private static readonly string Configuration = Metadata("Configuration");
    private static readonly string ShippedRunFile = File.ReadAllText(Path.Combine(Root, "dapr.yaml"));
    private static readonly HashSet<string> ShippedPorts = [.. PortField().Matches(ShippedRunFile).Select(match => match.Groups["port"].Value)];

    private readonly Dictionary<string, int> _ports = [];

    public Installation()
    {
        Folder = Directory.CreateTempSubdirectory("daprorders-").FullName;
        var resources = Directory.CreateDirectory(Path.Combine(Folder, "resources")).FullName;
        foreach (var file in Directory.GetFiles(Path.Combine(Root, "components", "common")).Concat(Directory.GetFiles(Path.Combine(Root, "components", "local"))))
        {
            File.WriteAllText(Path.Combine(resources, Path.GetFileName(file)), Moved(File.ReadAllText(file)));
        }

        File.WriteAllText(RunFile, Moved(ShippedRunFile));
    }

    public string Folder { get; }

    public string RunFile => Path.Combine(Folder, "dapr.yaml");

    public static string Sidecar => Path.Combine(Root, "artifacts", "bin", "Sidecar", Configuration, "DaprOrders.Sidecar.dll");

    /// <summary>The Dapr HTTP port of a service; the number in the shipped run file leads to the free one.</summary>
    public Uri DaprOf(string app) => new($"http://localhost:{_ports[Shipped(app, "daprHTTPPort")]}");

    public Uri PaymentProvider => new($"http://localhost:{_ports[Shipped("payment-provider", "appPort")]}");

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

    private string Moved(string text)
    {
        text = Number().Replace(text, match => ShippedPorts.Contains(match.Value) ? $"{Free(match.Value)}" : match.Value);
        return text
            .Replace("[components/common, components/redis]", "[resources]", StringComparison.Ordinal)
            .Replace("components/common/", "resources/", StringComparison.Ordinal)
            .Replace("appDirPath: services/", $"appDirPath: {Slashed(Root)}/services/", StringComparison.Ordinal)
            .Replace("/release/", $"/{Configuration}/", StringComparison.Ordinal)
            .Replace("../../data/", $"{Slashed(Folder)}/data/", StringComparison.Ordinal)
            .Replace("value: data/", $"value: {Slashed(Folder)}/data/", StringComparison.Ordinal);
    }

    private int Free(string port) => _ports.TryGetValue(port, out var free) ? free : _ports[port] = FreePort.Next();

    private static string Slashed(string path) => path.Replace('\\', '/').TrimEnd('/');

    private static string Metadata(string key) =>
        typeof(Installation).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == key).Value!;

    private static string Shipped(string app, string field)
    {
        var rest = ShippedRunFile[ShippedRunFile.IndexOf($"appID: {app}\n", StringComparison.Ordinal)..];
        return PortField().Matches(rest).First(match => match.Groups["field"].Value == field).Groups["port"].Value;
    }

    [GeneratedRegex(@"(?<field>\w+Port): (?<port>\d+)")]
    private static partial Regex PortField();

    [GeneratedRegex(@"\b\d{4,5}\b")]
    private static partial Regex Number();
}
