using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace DaprOrders.EventSourcing;

public static class EventLogEndpoints
{
    private const int MaxLimit = 1000;

    /// <summary>
    /// GET /event-log (lanes), /event-log/{lane}?after=&amp;limit= (a lane's events), /event-log/streams/{stream}?after=&amp;limit= (a stream's):
    /// how consumers catch up, fill gaps and rebuild.
    /// </summary>
    public static void MapEventLog(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/event-log").WithTags("Event log");
        group.MapGet("/", ReadLanesAsync).WithSummary("The lanes of the event log, with the position up to which each can be read.").ProducesProblem(503);
        group.MapGet("/{lane}", ReadLaneAsync)
            .WithSummary("The events of a lane after a position: whole commits, until the limit is reached.")
            .ProducesProblem(400).ProducesProblem(404).ProducesProblem(503);
        group.MapGet("/streams/{stream}", ReadStreamAsync)
            .WithSummary("The events of a stream after a version.")
            .ProducesProblem(400).ProducesProblem(503);
    }

    private static Task<LogLanes> ReadLanesAsync(EventStore store, CancellationToken cancellationToken) => store.ReadLanesAsync(cancellationToken);

    private static async Task<Results<Ok<LogPage>, ProblemHttpResult>> ReadLaneAsync(
        string lane, EventStore store, CancellationToken cancellationToken, long after = 0, int limit = 200)
    {
        if (Refusal(after, limit) is { } refusal)
        {
            return refusal;
        }

        return await store.ReadLogAsync(lane, after, limit, cancellationToken) is { } page
            ? TypedResults.Ok(page)
            : TypedResults.Problem($"There is no lane '{lane}'; GET /event-log lists them.", statusCode: 404, title: "No such lane", type: "urn:daprorders:lane-not-found");
    }

    private static async Task<Results<Ok<IReadOnlyList<RecordedEvent>>, ProblemHttpResult>> ReadStreamAsync(
        string stream, EventStore store, CancellationToken cancellationToken, long after = 0, int limit = 200)
    {
        if (Refusal(after, limit) is { } refusal)
        {
            return refusal;
        }

        return TypedResults.Ok(await store.ReadStreamAsync(stream, after, limit, cancellationToken));
    }

    private static ProblemHttpResult? Refusal(long after, int limit) => after < 0 || limit is < 1 or > MaxLimit
        ? TypedResults.Problem(
            $"'after' is 0 or more and 'limit' 1 to {MaxLimit}; got after={after}, limit={limit}.",
            statusCode: 400,
            title: "Invalid request",
            type: "urn:daprorders:invalid-request")
        : null;
}
