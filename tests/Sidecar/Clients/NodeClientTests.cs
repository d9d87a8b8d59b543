using System.Globalization;
using DaprOrders.Sidecar.Tests.PubSub;
using DaprOrders.Sidecar.Tests.Resources;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Clients;

/// <summary>
/// Dapr's own client for Node.js, in a process of its own, uses every building block that it has (Node/client.js); streaming subscriptions and jobs by the stubs
/// that it ships.
/// </summary>
public sealed class NodeClientTests : IDisposable
{
    private const string Program = "client.js";

    private static readonly string Folder = RepositoryFiles.PathOf("tests", "Sidecar", "Clients", "Node");

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(3);

    private readonly TemporaryFolder _folder = new();

    [Theory]
    [InlineData("http", AppProtocol.Http, "actors")]
    [InlineData("grpc", AppProtocol.Grpc, "streaming subscription", "jobs", "configuration")]
    public async Task Every_building_block_works_by_the_client_for_Node(string protocol, AppProtocol appProtocol, params string[] onlyThere)
    {
        ServerProgram.Require(Missing() ?? RedisServer.Missing);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);
        await using var redis = await RedisServer.StartAsync(limit.Token);
        var port = FreePort.Next();
        await using var dapr = await EmbeddedDapr.StartAsync(
            new() { Apps = [new() { AppId = "node", AppPort = port, AppProtocol = appProtocol }], Resources = Components(redis) }, limit.Token);

        var written = await RunAsync(protocol, dapr["node"], port, redis.Port, limit.Token);

        string[] blocks =
        [
            "health", "metadata", "state", "transaction", "publish", "publish in bulk", "subscribe in bulk", "subscribe by rules", "dead letters", "invoke",
            "bindings", "secrets", "lock", .. onlyThere,
        ];
        Assert.Equal(string.Join('\n', blocks.Select(block => $"ok {block}")), written.ReplaceLineEndings("\n").TrimEnd());
        await dapr["node"].Stopped.WaitAsync(limit.Token);
    }

    public void Dispose() => _folder.Dispose();

    private static string? Missing() =>
        ServerProgram.Find("node") is null ? "node is not installed (apt-get install nodejs npm)"
        : !Directory.Exists(Path.Combine(Folder, "node_modules", "@dapr", "dapr")) ? $"@dapr/dapr is not installed (npm ci in {Folder})"
        : null;

    private string Components(RedisServer redis)
    {
        var secrets = _folder.File("secrets.json");
        File.WriteAllText(secrets, """{"password": "geheim"}""");
        var files = Directory.CreateDirectory(_folder.File("files")).FullName;
        return string.Join(
            "\n---\n",
            Component("store", "state.in-memory", "actorStateStore: \"true\""),
            Component("pubsub", "pubsub.in-memory"),
            Component("files", "bindings.localstorage", $"rootPath: '{files}'"),
            Component("clock", "bindings.cron", "schedule: '@every 1s'"),
            Component("secrets", "secretstores.local.file", $"secretsFile: '{secrets}'"),
            Component("settings", "configuration.redis", $"redisHost: {redis.Address}"),
            Component("locks", "lock.redis", $"redisHost: {redis.Address}"));
    }

    /// <param name="field">Its name and its value, as YAML; null: it has none.</param>
    private static string Component(string name, string type, string? field = null)
    {
        var metadata = field?.Split(": ", 2) is [var key, var value] ? $"{{name: {key}, value: {value}}}" : "";
        return $"{{apiVersion: dapr.io/v1alpha1, kind: Component, metadata: {{name: {name}}}, spec: {{type: {type}, version: v1, metadata: [{metadata}]}}}}";
    }

    /// <summary>What it wrote.</summary>
    private static async Task<string> RunAsync(string protocol, SidecarHost sidecar, int port, int redisPort, CancellationToken cancel)
    {
        var start = ServerProgram.Info(ServerProgram.Find("node")!, [Path.Combine(Folder, Program), protocol]);
        foreach (var (name, value) in new[]
            { ("APP_PORT", port), ("DAPR_HTTP_PORT", sidecar.HttpPort), ("DAPR_GRPC_PORT", sidecar.GrpcPort), ("REDIS_PORT", redisPort) })
        {
            start.Environment[name] = value.ToString(CultureInfo.InvariantCulture);
        }

        using var process = System.Diagnostics.Process.Start(start)!;
        try
        {
            var texts = await Task.WhenAll(process.StandardOutput.ReadToEndAsync(cancel), process.StandardError.ReadToEndAsync(cancel));
            TestContext.Current.TestOutputHelper?.WriteLine(texts[1]);
            await process.WaitForExitAsync(cancel);
            return texts[0];
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }
}
