using System.Diagnostics;
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

    /// <summary>They are for .NET 8.</summary>
    private static readonly Dictionary<string, string> RollForward = new() { ["DOTNET_ROLL_FORWARD"] = "Major" };

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
    /// resiliency/service-to-service-resiliency.md. The caller in C# sends bodies of unknown length, which daprd 1.18 does not try again (pkg/api/http/directmessaging.go): it
    /// loses some orders, here as there.
    /// </summary>
    [Theory]
    [InlineData("csharp", "dotnet run", "dotnet run --no-build --project", 7001)]
    [InlineData("javascript", "npm start", "npm start --prefix", 5001, "Error processing operation endpoint[order-processor, order-processor:orders]. Retrying in 5s")]
    public async Task A_caller_goes_on_when_the_app_that_it_calls_is_back(string language, string command, string calledCommand, int port, params string[] retries)
    {
        var clone = Clone();
        using var folder = new TemporaryFolder();
        var (called, caller) = (Folder("order-processor"), Folder("checkout"));
        await QuickstartTests.InstallAsync(called, Cancellation);
        await QuickstartTests.InstallAsync(caller, Cancellation);
        // Without a command it is this test that starts it, and ends it.
        var receiver = App("order-processor", called, command: null);
        (receiver["appPort"], receiver["daprHTTPPort"]) = (port, 3501);
        var receiving = StartCalledAsync();
        await using var apps = Launch(folder, Path.Combine(clone, "service_invocation", "resources"), receiver, App("checkout", caller, command));
        await EndAsync(await receiving);

        foreach (var line in (string[])[.. retries, "Circuit breaker \"order-processor:orders\" changed state from closed to open"])
            await apps.NextAsync(line, Limit, Cancellation);

        await EndAsync(await StartCalledAsync());

        string Folder(string name) => Path.Combine(clone, "service_invocation", language, "http", name);

        Task<Process> StartCalledAsync()
        {
            var words = calledCommand.Split(' ');
            return ServerProgram.StartAsync(words[0], [.. words[1..], called], "Order received", Cancellation, RollForward);
        }

        static async Task EndAsync(Process process)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(Cancellation);
            process.Dispose();
        }
    }

    private static string Clone()
    {
        var clone = Environment.GetEnvironmentVariable("QUICKSTARTS");
        Assert.SkipUnless(clone is { Length: > 0 }, "QUICKSTARTS names no clone of dapr/quickstarts");
        return clone;
    }

    private static JsonObject App(string id, string folder, string? command) =>
        new() { ["appID"] = id, ["appDirPath"] = folder, ["command"] = command is null ? null : new JsonArray([.. command.Split(' ')]), ["daprdLogDestination"] = "console" };

    private static LaunchedApps Launch(TemporaryFolder folder, string resources, params JsonObject[] apps)
    {
        var runFile = folder.File("dapr.yaml");
        File.WriteAllText(runFile, new JsonObject { ["version"] = 1, ["common"] = new JsonObject { ["resourcesPath"] = resources }, ["apps"] = new JsonArray([.. apps]) }.ToJsonString());
        return new(runFile, [], [.. RollForward.Select(one => (one.Key, one.Value))]);
    }
}
