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

    private readonly Dictionary<int, int> _ports = [];

    public Installation()
    {
        Folder = Directory.CreateTempSubdirectory("daprorders-").FullName;
        var resources = Directory.CreateDirectory(Path.Combine(Folder, "resources")).FullName;
        foreach (var file in Directory.GetFiles(Path.Combine(Root, "components", "common")).Concat(Directory.GetFiles(Path.Combine(Root, "components", "local"))))
        {
            File.WriteAllText(Path.Combine(resources, Path.GetFileName(file)), Moved(File.ReadAllText(file)));
        }

        File.WriteAllText(RunFile, Moved(File.ReadAllText(Path.Combine(Root, "dapr.yaml"))));
    }

    public string Folder { get; }

    public string RunFile => Path.Combine(Folder, "dapr.yaml");

    public static string Sidecar => Path.Combine(Root, "artifacts", "bin", "Sidecar", Configuration, "DaprOrders.Sidecar.dll");

    /// <summary>The Dapr HTTP port of a service; the design's number leads to the free one.</summary>
    public Uri DaprOf(string app) => new($"http://localhost:{_ports[app switch
    {
        "ordering" => 3501,
        "inventory" => 3502,
        "payments" => 3503,
        "shipping" => 3504,
        "reporting" => 3505,
        _ => throw new ArgumentOutOfRangeException(nameof(app), app, "No such service."),
    }]}");

    public Uri PaymentProvider => new($"http://localhost:{_ports[5199]}");

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
        text = Port().Replace(text, match => Free(int.Parse(match.Value, System.Globalization.CultureInfo.InvariantCulture)).ToString(System.Globalization.CultureInfo.InvariantCulture));
        return text
            .Replace("[components/common, components/redis]", "[resources]", StringComparison.Ordinal)
            .Replace("components/common/", "resources/", StringComparison.Ordinal)
            .Replace("appDirPath: services/", $"appDirPath: {Slashed(Root)}/services/", StringComparison.Ordinal)
            .Replace("/release/", $"/{Configuration}/", StringComparison.Ordinal)
            .Replace("../../data/", $"{Slashed(Folder)}/data/", StringComparison.Ordinal)
            .Replace("value: data/", $"value: {Slashed(Folder)}/data/", StringComparison.Ordinal);
    }

    private int Free(int port) => _ports.TryGetValue(port, out var free) ? free : _ports[port] = FreePort.Next();

    private static string Slashed(string path) => path.Replace('\\', '/').TrimEnd('/');

    private static string Metadata(string key) =>
        typeof(Installation).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().Single(a => a.Key == key).Value!;

    [GeneratedRegex(@"\b(510[1-5]|5199|350[1-5]|5010[1-5])\b")]
    private static partial Regex Port();
}
