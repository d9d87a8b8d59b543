using Dapr.Client;

namespace DaprOrders.EventSourcing;

public static class Invocation
{
    /// <summary>Longer than a page of a log, or a command, takes on a busy machine; who hangs must not keep who calls.</summary>
    private static readonly TimeSpan LongestAnswer = TimeSpan.FromSeconds(15);

    /// <summary>Calls other services by Dapr invocation, each call with a limit.</summary>
    /// <param name="appId">Whom it calls by addresses without a host; else the host names the service.</param>
    public static HttpClient CreateClient(DaprClient dapr, string? appId = null)
    {
        var http = dapr.CreateInvokableHttpClient(appId);
        http.Timeout = LongestAnswer;
        return http;
    }
}
