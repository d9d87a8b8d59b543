using System.Globalization;
using System.Text.RegularExpressions;
using DaprOrders.Sidecar.Tests.Resources;
using YamlDotNet.RepresentationModel;

namespace DaprOrders.Sidecar.Tests.Launcher;

/// <summary>
/// The ports of the shipped run files. What a run file leaves out the Dapr CLI takes at random from the range out of which systems give
/// ports to outgoing connections, so everything is fixed, and outside that range on every platform.
/// </summary>
public sealed partial class ShippedPortsTests
{
    /// <summary>Linux' default range for outgoing connections starts here, those of Windows and macOS at 49152.</summary>
    private const int FirstEphemeral = 32768;

    private const int LastPrivileged = 1023;

    private static readonly string[] Fields = ["appPort", "daprHTTPPort", "daprGRPCPort", "daprInternalGRPCPort", "metricsPort"];

    /// <summary>daprd, placement and scheduler (with Windows' other numbers), their health and metrics, dashboard, profiling, and what `dapr init` brings.</summary>
    private static readonly int[] OfDaprItself =
        [3500, 50001, 50002, 9090, 7777, 50005, 6050, 50006, 6060, 58080, 58081, 59090, 59091, 2379, 2380, 8080, 9411, 6379];

    public static TheoryData<string> RunFiles => ["dapr.yaml", "bench/accept/dapr.yaml"];

    [Theory]
    [MemberData(nameof(RunFiles))]
    public void Every_app_has_every_port_fixed(string runFile)
    {
        var missing = Apps(runFile).SelectMany(app => Fields.Where(field => Port(app, field) is null).Select(field => $"{app["appID"]} has no {field}"));

        Assert.Empty(missing);
    }

    [Theory]
    [MemberData(nameof(RunFiles))]
    public void No_port_can_be_taken_by_an_outgoing_connection_or_by_dapr_itself(string runFile)
    {
        var ports = Ports(runFile);

        Assert.NotEmpty(ports);
        Assert.All(ports, port => Assert.InRange(port, LastPrivileged + 1, FirstEphemeral - 1));
        Assert.Empty(ports.Intersect(OfDaprItself));
    }

    [Theory]
    [MemberData(nameof(RunFiles))]
    public void No_port_is_given_twice(string runFile) =>
        Assert.Empty(Ports(runFile).GroupBy(port => port).Where(port => port.Count() > 1).Select(port => port.Key));

    [Fact]
    public void The_readme_names_the_ports_of_the_run_file()
    {
        var written = ReadmeRow().Matches(File.ReadAllText(RepositoryFiles.PathOf("README.md"))).Select(row => (
            App: row.Groups["app"].Value, Port: row.Groups["port"].Value, Http: row.Groups["http"].Value, Grpc: row.Groups["grpc"].Value));

        Assert.Equal(
            Apps("dapr.yaml").Select(app => ($"{app["appID"]}", $"{app["appPort"]}", $"{app["daprHTTPPort"]}", $"{app["daprGRPCPort"]}")).Order(),
            written.Order());
    }

    private static int[] Ports(string runFile) => [.. Apps(runFile).SelectMany(app => Fields.Select(field => Port(app, field))).OfType<int>()];

    private static int? Port(YamlMappingNode app, string field) =>
        app.Children.TryGetValue(field, out var port) ? int.Parse(((YamlScalarNode)port).Value!, CultureInfo.InvariantCulture) : null;

    private static IEnumerable<YamlMappingNode> Apps(string runFile)
    {
        var yaml = new YamlStream();
        using var reader = File.OpenText(RepositoryFiles.PathOf(runFile));
        yaml.Load(reader);
        return ((YamlSequenceNode)yaml.Documents[0].RootNode["apps"]).Cast<YamlMappingNode>();
    }

    [GeneratedRegex(@"^\|[^|]+\| `(?<app>[a-z-]+)` \| (?<port>\d+) \| (?<http>\d+) / (?<grpc>\d+) \|", RegexOptions.Multiline)]
    private static partial Regex ReadmeRow();
}
