using System.Text.Json;
using DaprOrders.ServiceDefaults.Errors;
using DaprOrders.ServiceDefaults.Health;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.ServiceDefaults.Topology;

internal static class SidecarEndpoint
{
    /// <summary>A sidecar is asked by its own service alone; whoever draws the whole asks the services.</summary>
    public static void MapSidecar(this WebApplication app) => app.MapGet("/sidecar", ReadAsync).WithTags("Sidecar").AnswersProblems(503)
        .WithSummary("What this service's sidecar says of itself (Dapr's metadata API): components, subscriptions, actors.");

    private static async Task<Results<Ok<JsonElement>, ProblemHttpResult>> ReadAsync(
        IHttpClientFactory clients, HttpContext http, DaprSettings dapr, CancellationToken cancellationToken)
    {
        using var client = clients.CreateClient(Readiness.SidecarClient);
        try
        {
            return TypedResults.Ok(JsonElement.Parse(await client.GetByteArrayAsync("/v1.0/metadata", cancellationToken)));
        }
        catch (HttpRequestException e)
        {
            return Problems.TryLater(http, "sidecar-unavailable", $"The sidecar of {dapr.AppId} does not tell its metadata: {e.Message}");
        }
    }
}
