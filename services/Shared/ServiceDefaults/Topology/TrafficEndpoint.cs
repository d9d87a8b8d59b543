using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.ServiceDefaults.Topology;

/// <summary>What has gone through one replica. It only grows while that runs, so two answers of the same one make a rate.</summary>
/// <param name="Instance">Which replica it is.</param>
/// <param name="Calls">Null where its sidecar does not tell.</param>
/// <param name="Silent">Why it does not.</param>
/// <param name="Published">Events that the broker took, by topic.</param>
/// <param name="Delivered">Events that were delivered, by topic, whatever was answered.</param>
public sealed record Traffic(
    string Instance, CallCounts? Calls, string? Silent, IReadOnlyDictionary<string, long> Published, IReadOnlyDictionary<string, long> Delivered);

internal static class TrafficEndpoint
{
    internal const string MetricsClient = "dapr-sidecar-metrics";

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    public static void AddTraffic(this WebApplicationBuilder builder)
    {
        builder.Services.AddSingleton<TopicCounts>();
        // dapr run and the embedded sidecar name the port; daprd's own, and Kubernetes', is 9090.
        var host = builder.Configuration["DAPR_HTTP_ENDPOINT"] is { Length: > 0 } endpoint ? new Uri(endpoint).Host : "localhost";
        var address = new Uri($"http://{host}:{builder.Configuration["DAPR_METRICS_PORT"] ?? "9090"}");
        builder.Services.AddHttpClient(MetricsClient, client => (client.BaseAddress, client.Timeout) = (address, Patience));
    }

    public static void MapTraffic(this WebApplication app) => app.MapGet("/traffic", ReadAsync).WithTags("Sidecar")
        .WithSummary("What has gone through this replica since it started: calls by application, as its sidecar counts them, and events by topic.");

    private static async Task<Ok<Traffic>> ReadAsync(IHttpClientFactory clients, TopicCounts topics, DaprSettings dapr, CancellationToken cancellationToken)
    {
        var (calls, silent) = await ReadCallsAsync(clients, cancellationToken);
        return TypedResults.Ok(new Traffic(
            dapr.Instance, calls, silent is null ? null : $"The sidecar of {dapr.AppId} does not tell its calls: {silent}",
            new Dictionary<string, long>(topics.Published), new Dictionary<string, long>(topics.Delivered)));
    }

    private static async Task<(CallCounts? Calls, string? Silent)> ReadCallsAsync(IHttpClientFactory clients, CancellationToken cancellationToken)
    {
        using var client = clients.CreateClient(MetricsClient);
        try
        {
            return CallCounts.Read(await client.GetStringAsync("/metrics", cancellationToken)) is { } calls
                ? (calls, null)
                : (null, $"there are no metrics of it at {client.BaseAddress}metrics (DAPR_METRICS_PORT, or 9090, and metrics.enabled of its Configuration)");
        }
        catch (Exception e) when (e is HttpRequestException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return (null, $"{client.BaseAddress}metrics (DAPR_METRICS_PORT, or 9090): {e.Message}");
        }
    }
}
