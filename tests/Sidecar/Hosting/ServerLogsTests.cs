using DaprOrders.Sidecar.Tests.PubSub;
using EmbeddedSidecar.Hosting;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Sidecar.Tests.Hosting;

public class ServerLogsTests
{
    [Fact]
    public void A_caller_that_goes_away_is_not_logged_as_a_failure_and_any_other_failure_is()
    {
        using var log = new WrittenLog();
        using var logs = new ServerLogs(log);
        var calls = logs.CreateLogger("Grpc.AspNetCore.Server.ServerCallHandler");

        calls.LogError(new OperationCanceledException(), "Error when executing service method 'GetState'.");
        calls.LogError(new InvalidOperationException(), "Error when executing service method 'SaveState'.");
        calls.LogInformation("Executing 'GetState'.");

        Assert.Contains("SaveState", Assert.Single(log.Lines), StringComparison.Ordinal);
    }
}
