using System.Net.Http.Json;
using System.Text.Json.Nodes;
using DaprOrders.Sidecar.Tests.PubSub;
using DaprOrders.Tests.Servers;

namespace DaprOrders.Sidecar.Tests.Quickstarts;

/// <summary>
/// The quickstart of resiliency has no apps of its own and no lines for a runner: its pages start those of others, end something by hand, and look at the log of the sidecar. The same
/// here. On demand, as <see cref="QuickstartTests"/>.
/// </summary>
public sealed class ResiliencyQuickstartTests
{
    /// <summary>Five tries, five seconds apart, open the breaker.</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>resiliency/service-to-component-resiliency.md</summary>
    [Theory]
    [InlineData("csharp", "dotnet run")]
    [InlineData("javascript", "npm start")]
    public async Task An_app_goes_on_with_the_order_that_it_was_at_when_its_store_is_back(string language, string command)
    {
        var clone = Clone();
        using var folder = new TemporaryFolder();
        var app = Path.Combine(clone, "state_management", language, "sdk", "order-processor");
        await QuickstartTests.InstallAsync(app, Cancellation);
        ServerProgram.Require(DaprInitRedis.Missing);
        var redis = await DaprInitRedis.StartAsync(Cancellation);
        try
        {
            await using var apps = Launch(folder, Path.Combine(clone, "state_management", "resources"), App("order-processor", app, command));
            await apps.NextAsync("Getting Order:", Limit, Cancellation);

            redis.Dispose();
            await apps.NextAsync("Error processing operation component[statestore] output. Retrying in 5s", Limit, Cancellation);
            await apps.NextAsync("Circuit breaker \"simpleCB-statestore\" changed state from closed to open", Limit, Cancellation);
            await apps.NextAsync("Circuit breaker \"simpleCB-statestore\" changed state from open to half-open", Limit, Cancellation);

            redis = await DaprInitRedis.StartAsync(Cancellation);
            await apps.NextAsync("Recovered processing operation component[statestore] output", Limit, Cancellation);
            await apps.NextAsync("Getting Order:", Limit, Cancellation);
        }
        finally
        {
            redis.Dispose();
        }
    }

    /// <summary>
    /// resiliency/service-to-service-resiliency.md. What is ended there by hand is started again by hand; here the launcher does, too soon for the breaker. The caller in C# sends bodies of
    /// unknown length, which daprd 1.18 does not try again (pkg/api/http/directmessaging.go): it loses some orders, here as there.
    /// </summary>
    [Theory]
    [InlineData("csharp", "dotnet run", 7001)]
    [InlineData("javascript", "npm start", 5001, "Error processing operation {0}. Retrying in 5s", "Recovered processing operation {0}")]
    public async Task A_caller_goes_on_when_the_app_that_it_calls_is_back(string language, string command, int port, params string[] told)
    {
        var clone = Clone();
        using var folder = new TemporaryFolder();
        var (called, caller) = (Folder("order-processor"), Folder("checkout"));
        await QuickstartTests.InstallAsync(called, Cancellation);
        await QuickstartTests.InstallAsync(caller, Cancellation);
        var receiver = App("order-processor", called, command);
        (receiver["appPort"], receiver["daprHTTPPort"]) = (port, 3501);
        await using var apps = Launch(folder, Path.Combine(clone, "service_invocation", "resources"), receiver, App("checkout", caller, command));
        await apps.NextAsync("Order received", Limit, Cancellation);

        using var http = new HttpClient();
        var metadata = await http.GetFromJsonAsync<JsonObject>(new Uri("http://localhost:3501/v1.0/metadata"), Cancellation);
        using (var process = System.Diagnostics.Process.GetProcessById(int.Parse((string)metadata!["extended"]!["appPID"]!, null)))
            process.Kill(entireProcessTree: true);
        var again = apps.NextAsync("ready order-processor again", Limit, Cancellation);
        foreach (var line in told)
            await apps.NextAsync(string.Format(null, line, "endpoint[order-processor, order-processor:orders]"), Limit, Cancellation);
        await again;
        await apps.NextAsync("Order received", Limit, Cancellation);

        string Folder(string name) => Path.Combine(clone, "service_invocation", language, "http", name);
    }

    private static string Clone()
    {
        var clone = Environment.GetEnvironmentVariable("QUICKSTARTS");
        Assert.SkipUnless(clone is { Length: > 0 }, "QUICKSTARTS names no clone of dapr/quickstarts");
        return clone;
    }

    private static JsonObject App(string id, string folder, string command) =>
        new() { ["appID"] = id, ["appDirPath"] = folder, ["command"] = new JsonArray([.. command.Split(' ')]), ["daprdLogDestination"] = "console" };

    private static LaunchedApps Launch(TemporaryFolder folder, string resources, params JsonObject[] apps)
    {
        var runFile = folder.File("dapr.yaml");
        File.WriteAllText(runFile, new JsonObject { ["version"] = 1, ["common"] = new JsonObject { ["resourcesPath"] = resources }, ["apps"] = new JsonArray([.. apps]) }.ToJsonString());
        // They are for .NET 8.
        return new(runFile, [], ("DOTNET_ROLL_FORWARD", "Major"));
    }
}
