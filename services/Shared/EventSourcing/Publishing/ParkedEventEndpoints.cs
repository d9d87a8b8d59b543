using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace DaprOrders.EventSourcing.Publishing;

internal static class ParkedEventEndpoints
{
    /// <summary>
    /// For operators: GET /event-log/parked (<c>{"events":[{"id","stream","version","topic","reason","parkedAt"}]}</c>), POST .../{id}/redrive,
    /// DELETE .../{id}. The id is that of the event, <c>{stream}:{version}</c>.
    /// </summary>
    public static void MapParkedEvents(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/event-log/parked").WithTags("Event log");
        group.MapGet("/", ReadAsync).WithSummary("The events that the broker refuses, with its reasons.").ProducesProblem(503);
        group.MapPost("/{id}/redrive", RedriveAsync)
            .WithSummary("Publishes a parked event once more; it stays parked when the broker refuses it still (503).")
            .ProducesProblem(404).ProducesProblem(503);
        group.MapDelete("/{id}", DiscardAsync)
            .WithSummary("Takes a parked event off the list without publishing it; consumers have it from the event log.")
            .ProducesProblem(404).ProducesProblem(503);
    }

    private static async Task<Ok<ParkedEventList>> ReadAsync(EventStore store, CancellationToken cancellationToken) =>
        TypedResults.Ok(new ParkedEventList(await store.ReadParkedAsync(cancellationToken)));

    private static async Task<Results<NoContent, ProblemHttpResult>> RedriveAsync(string id, EventStore store, CancellationToken cancellationToken) =>
        await store.RedriveParkedAsync(id, cancellationToken) ? TypedResults.NoContent() : NotParked(id);

    private static async Task<Results<NoContent, ProblemHttpResult>> DiscardAsync(string id, EventStore store, CancellationToken cancellationToken) =>
        await store.DiscardParkedAsync(id, cancellationToken) ? TypedResults.NoContent() : NotParked(id);

    private static ProblemHttpResult NotParked(string id) => TypedResults.Problem(
        $"The event '{id}' is not parked; GET /event-log/parked lists those that are.", statusCode: 404, title: "No such parked event", type: "urn:daprorders:not-parked");

    internal sealed record ParkedEventList(IReadOnlyList<ParkedEvent> Events);
}
