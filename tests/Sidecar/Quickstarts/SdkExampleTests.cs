using System.Text;
using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.PubSub;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Quickstarts;

/// <summary>
/// The examples of Dapr's .NET SDK, built from its own source, run on the launcher as their READMEs run them. On demand: SDK_EXAMPLES names a clone of
/// dapr/dotnet-sdk. They take the ports that they name, and 6379 for the Redis of <c>dapr init</c>.
/// </summary>
public sealed class SdkExampleTests
{
    /// <summary>To build it, and for all that it writes.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(300);

    private static readonly App Controller = new("AspNetCore/ControllerSample", "controller", Port: 5000);
    private static readonly App Routing = new("AspNetCore/RoutingSample", "routing", Port: 5000);
    private static readonly App Grpc = new("AspNetCore/GrpcServiceSample", "grpcsample", Port: 5050) { Protocol = "grpc", HttpPort = 3500 };
    private static readonly App StateManagement = new("Client/StateManagement", "DaprClient");
    private static readonly App Publish = new("Client/PublishSubscribe/PublishEventExample", "DaprClient");

    private static readonly Ask Deposit = new("http://127.0.0.1:5000/deposit", """{"id":"17","amount":12}""", "\"balance\":");

    private static readonly Dictionary<string, Example> Examples = new()
    {
        ["state"] = new([StateManagement with { Arguments = "0" }], ["Saved State!", "Got State: small yellow", "Deleted State!"]),
        ["state, transactions"] = new([StateManagement with { Arguments = "1" }], ["Executed State Transaction!", "Got State: "]),
        ["state, ETags"] = new([StateManagement with { Arguments = "2" }], ["successfully? False", "successfully? True"]),
        ["state, in bulk"] = new([StateManagement with { Arguments = "3" }], ["Saved 2 States!", "Got 2 States:", "Deleted States!"]),
        ["state, bytes"] = new([StateManagement with { Arguments = "4" }], ["Got State: ", "Deleted State!"]),
        ["state, typed stores"] = new([new("StateManagement/StateManagementExample", "widgets")], ["ETag save succeeded.", "Bulk item: key=widget-b", "Transaction committed."]),
        ["publish an event to controllers"] = new([Controller, Publish with { Arguments = "0" }], ["Published deposit event!", "Balance for Id 17 is"]),
        ["publish bytes to routes"] = new([Routing, Publish with { Arguments = "1" }], ["Published deposit event!", "Balance is"]),
        ["publish in bulk to controllers"] = new(
            [Controller, new("Client/PublishSubscribe/BulkPublishEventExample", "DaprClient") { Arguments = "0" }],
            ["Published multiple deposit events!", "Balance for Id 17 is", "Balance for Id 18 is", "Balance for Id 19 is"]),
        ["publish to a gRPC application"] = new([Grpc, Publish with { Arguments = "0" }], ["Published deposit event!"],
            new("http://127.0.0.1:3500/v1.0/state/statestore/17", null, "\"balance\":")),
        ["controllers"] = new([Controller], ["Balance for Id 17 is"], Deposit),
        ["routes"] = new([Routing], ["Balance is"], Deposit),
        ["streaming subscription"] = new(
            [new("Messaging/StreamingSubscriptionExample", "streaming") { HttpPort = 3500 }], ["from outside"],
            new("http://127.0.0.1:3500/v1.0/publish/pubsub/myTopic", "\"from outside\"", "")),
        ["generated actor clients"] = new(
            [new("GeneratedActor/ActorService", "generated-service", Port: 5226), new("GeneratedActor/ActorClient", "generated-client")], ["Done!"]),
        ["locks, cron and files"] = new(
            [
                new("Client/DistributedLock", "generator") { Resources = "Client/DistributedLock/Components" },
                new("Client/DistributedLock", "worker", Port: 5000) { Resources = "Client/DistributedLock/Components" },
            ], ["Received binding event on worker, scanning for work.", "Successfully locked file:", "Done processing"]),
        // The logger of its handler is null (the SDK looks for one that nobody registers): what it would write is not written, but its server tells of each call.
        ["jobs"] = new([new("Jobs/JobsSample", "jobs", Port: 5140)], ["Scheduled one-time job 'myJob'", "/job/myJob - 200"]),
        ["configuration"] = new(
            [Controller, new("Client/ConfigurationApi", "configexample") { Resources = "Client/ConfigurationApi/Components" }], ["Key: withdrawVersion", "Value: v1"],
            new("http://localhost:5010/configuration/get/redisconfig/withdrawVersion", null, "")),
    };

    public static TheoryData<string> Names => [.. Examples.Keys];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Names))]
    public async Task Each_writes_and_answers_what_its_README_says(string name)
    {
        var clone = Environment.GetEnvironmentVariable("SDK_EXAMPLES");
        Assert.SkipUnless(clone is { Length: > 0 }, "SDK_EXAMPLES names no clone of dapr/dotnet-sdk");
        var (example, examples) = (Examples[name], Path.Combine(clone, "examples"));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(Limit);

        using var redis = await StartRedisAsync(limit.Token);
        foreach (var folder in example.Apps.Select(app => Path.Combine(examples, app.Folder)).Distinct())
            await ServerProgram.RunAsync("dotnet", ["build", folder, "--framework", "net10.0", "--verbosity", "quiet", "-p:TreatWarningsAsErrors=false"], limit.Token);
        using var work = new TemporaryFolder();

        await RunAsync(WriteRunFile(example, examples, Path.GetDirectoryName(work.File("any"))!), example, limit.Token);
    }

    private static async Task RunAsync(string runFile, Example example, CancellationToken cancel)
    {
        await using var apps = new LaunchedApps(runFile, example.Expected);
        try
        {
            if (example.Asked is { } ask)
                await AskAsync(ask, Task.WhenAny(apps.Ended, apps.GivenUp), cancel);
            await Task.WhenAny(apps.Written, apps.GivenUp, apps.Ended).WaitAsync(cancel);
        }
        catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
        {
            Assert.Fail($"Not within {Limit}: {string.Join("; ", apps.Missing)}. What came:{Environment.NewLine}{string.Join(Environment.NewLine, apps.Lines)}");
        }

        Assert.True(apps.Missing.Count == 0, $"Not written: {string.Join("; ", apps.Missing)}. What came:{Environment.NewLine}{string.Join(Environment.NewLine, apps.Lines)}");
    }

    /// <summary>Until it is answered as the README says: the application starts meanwhile.</summary>
    private static async Task AskAsync(Ask ask, Task ended, CancellationToken cancel)
    {
        using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var again = new PeriodicTimer(AskAgain);
        while (!ended.IsCompleted)
        {
            try
            {
                using var answer = ask.Body is null
                    ? await http.GetAsync(new Uri(ask.Address), cancel)
                    : await http.PostAsync(new Uri(ask.Address), new StringContent(ask.Body, Encoding.UTF8, "application/json"), cancel);
                if (answer.IsSuccessStatusCode && (await answer.Content.ReadAsStringAsync(cancel)).Contains(ask.Answered, StringComparison.Ordinal))
                    return;
            }
            catch (HttpRequestException)
            {
                // Nothing listens yet.
            }

            await again.WaitForNextTickAsync(cancel);
        }

        Assert.Fail($"The launcher ended, or gave up an application, before {ask.Address} answered {ask.Answered}.");
    }

    private static string WriteRunFile(Example example, string examples, string folder)
    {
        var init = Directory.CreateDirectory(Path.Combine(folder, "init")).FullName;
        File.WriteAllText(Path.Combine(init, "statestore.yaml"), OfInit("statestore", "state.redis", "  - name: actorStateStore\n    value: \"true\""));
        File.WriteAllText(Path.Combine(init, "pubsub.yaml"), OfInit("pubsub", "pubsub.redis", ""));
        var apps = new JsonArray([.. example.Apps.Select(app =>
        {
            var node = new JsonObject
            {
                ["appID"] = app.Id,
                ["appDirPath"] = Path.Combine(examples, app.Folder),
                ["resourcesPath"] = app.Resources is { } own ? Path.Combine(examples, own) : init,
                ["command"] = new JsonArray(["dotnet", "run", "--no-build", "--framework", "net10.0", .. app.Arguments is { } arguments ? (string[])["--", arguments] : []]),
            };
            if (app.Port is { } port)
                node["appPort"] = port;
            if (app.HttpPort is { } http)
                node["daprHTTPPort"] = http;
            if (app.Protocol is { } protocol)
                node["appProtocol"] = protocol;
            return (JsonNode)node;
        })]);
        var file = Path.Combine(folder, "dapr.yaml");
        File.WriteAllText(file, new JsonObject { ["version"] = 1, ["apps"] = apps }.ToJsonString());
        return file;
    }

    /// <summary>As <c>dapr init</c> writes them.</summary>
    private static string OfInit(string name, string type, string more) => $"""
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata:
          name: {name}
        spec:
          type: {type}
          version: v1
          metadata:
          - name: redisHost
            value: localhost:{DaprInitRedis.Port}
          - name: redisPassword
            value: ""
        {more}
        """;

    /// <summary>With what the configuration's README sets.</summary>
    private static async Task<DaprInitRedis> StartRedisAsync(CancellationToken cancel)
    {
        ServerProgram.Require(DaprInitRedis.Missing);
        var server = await DaprInitRedis.StartAsync(cancel);
        await ServerProgram.RunAsync("redis-cli", ["-p", $"{DaprInitRedis.Port}", "SET", "withdrawVersion", "v1||1"], cancel);
        return server;
    }

    /// <param name="Expected">What the applications write.</param>
    private sealed record Example(App[] Apps, string[] Expected, Ask? Asked = null);

    /// <param name="Folder">In the SDK's examples.</param>
    private sealed record App(string Folder, string Id, int? Port = null)
    {
        public string? Arguments { get; init; }

        public string? Protocol { get; init; }

        public int? HttpPort { get; init; }

        /// <summary>Null: those of <c>dapr init</c>.</summary>
        public string? Resources { get; init; }
    }

    /// <param name="Body">Null: GET.</param>
    /// <param name="Answered">A part of the answer.</param>
    private sealed record Ask(string Address, string? Body, string Answered);
}
