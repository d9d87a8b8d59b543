using System.Text.RegularExpressions;
using DaprOrders.EventSourcing.Publishing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace DaprOrders.EventSourcing;

public static partial class EventLogEndpoints
{
    private const int MaxLimit = 1000;
    private const int MostStreams = 200;

    /// <summary>
    /// GET /event-log (lanes), /event-log/{lane}?after=&amp;limit= (a lane's events), /event-log/{lane}/entries?after=&amp;limit= (their streams and
    /// versions only), /event-log/streams/{stream}?after=&amp;limit= (a stream's), POST /event-log/streams (those of many): how consumers catch up,
    /// fill gaps and rebuild.
    /// POST /event-log/recovery: how an operator goes on after the state store lost events.
    /// </summary>
    /// <returns>What is read, so that the service says who may call it. Beside it are the parked events and the recovery, which are for operators.</returns>
    public static RouteGroupBuilder MapEventLog(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup("/event-log").WithTags("Event log");
        group.MapGet("/", ReadLanesAsync).WithSummary("The lanes of the event log, with the position up to which each can be read.").ProducesProblem(503);
        group.MapGet("/{lane}", ReadLaneAsync)
            .WithSummary("The events of a lane after a position: whole commits, until the limit is reached.")
            .ProducesProblem(400).ProducesProblem(404).ProducesProblem(409).ProducesProblem(503);
        group.MapGet("/{lane}/entries", ReadEntriesAsync)
            .WithSummary("What a lane holds after a position, as streams and versions only: whole commits, until the limit is reached.")
            .ProducesProblem(400).ProducesProblem(404).ProducesProblem(409).ProducesProblem(503);
        group.MapPost("/streams", ReadStreamsAsync)
            .WithSummary("Events of many streams at once, up to 200 ranges of versions; `ranges` says how many of them the answer has.")
            .ProducesProblem(400).ProducesProblem(413).ProducesProblem(415).ProducesProblem(503);
        group.MapGet("/streams/{stream}", ReadStreamAsync)
            .WithSummary("The events of a stream after a version.")
            .ProducesProblem(400).ProducesProblem(503);
        routes.MapParkedEvents();
        routes.MapPost("/event-log/recovery", RecoverAsync).WithTags("Event log")
            .WithSummary("Declares that work goes on without what a state store has lost that went back in time.")
            .ProducesProblem(409).ProducesProblem(503);
        return group;
    }

    private static Task<LogLanes> ReadLanesAsync(EventStore store, CancellationToken cancellationToken) => store.ReadLanesAsync(cancellationToken);

    private static Task<Results<Ok<LogPage>, ProblemHttpResult>> ReadLaneAsync(
        string lane, EventStore store, CancellationToken cancellationToken, long after = 0, int limit = 200) =>
        OfLaneAsync(lane, after, limit, () => store.ReadLogAsync(lane, after, limit, cancellationToken));

    private static Task<Results<Ok<LogEntries>, ProblemHttpResult>> ReadEntriesAsync(
        string lane, EventStore store, CancellationToken cancellationToken, long after = 0, int limit = 200) =>
        OfLaneAsync(lane, after, limit, () => store.ReadLogEntriesAsync(lane, after, limit, cancellationToken));

    private static async Task<Results<Ok<T>, ProblemHttpResult>> OfLaneAsync<T>(string lane, long after, int limit, Func<Task<T?>> read)
        where T : class
    {
        if (Refusal(after, limit) is { } refusal)
        {
            return refusal;
        }

        try
        {
            // A name that no lane can have is not looked for: it could name another document.
            return LaneName().IsMatch(lane) && await read() is { } found
                ? TypedResults.Ok(found)
                : NoSuchLane(lane);
        }
        catch (PositionAheadException ahead)
        {
            return TypedResults.Problem(ahead.Message, statusCode: 409, title: "Position ahead of the lane", type: "urn:daprorders:position-ahead");
        }
    }

    private static async Task<Results<Ok<StreamEvents>, ProblemHttpResult>> ReadStreamsAsync(
        StreamRanges request, EventStore store, CancellationToken cancellationToken)
    {
        if (request.Ranges.Count is < 1 or > MostStreams || request.Ranges.Any(range => range.After < 0 || range.UpTo - range.After is < 1 or > MaxLimit))
        {
            return Invalid($"'ranges' has 1 to {MostStreams} of them, each with 'after' 0 or more and 'upTo' 1 to {MaxLimit} above it; got {request.Ranges.Count}.");
        }

        if (request.Ranges.FirstOrDefault(range => !StreamName.IsValid(range.Stream)) is { } wrong)
        {
            return Invalid($"'ranges' have in 'stream' {StreamName.Expected}; got '{wrong.Stream}'.");
        }

        return TypedResults.Ok(await store.ReadStreamsAsync(request.Ranges, cancellationToken));
    }

    private static async Task<Results<Accepted<LogLoss>, ProblemHttpResult>> RecoverAsync(EventStore store, CancellationToken cancellationToken) =>
        await store.RecoverAsync(cancellationToken) is { } loss
            ? TypedResults.Accepted("/event-log", loss)
            : TypedResults.Problem(
                "This service knows of nothing that its state store has lost. GET /event-log names a loss while there is one.",
                statusCode: 409, title: "Nothing to recover from", type: "urn:daprorders:nothing-lost");

    private static async Task<Results<Ok<IReadOnlyList<RecordedEvent>>, ProblemHttpResult>> ReadStreamAsync(
        string stream, EventStore store, CancellationToken cancellationToken, long after = 0, int limit = 200)
    {
        if (Refusal(after, limit) is { } refusal)
        {
            return refusal;
        }

        if (!StreamName.IsValid(stream))
        {
            return Invalid($"'stream' is {StreamName.Expected}; got '{stream}'.");
        }

        return TypedResults.Ok(await store.ReadStreamAsync(stream, after, limit, cancellationToken));
    }

    private static ProblemHttpResult? Refusal(long after, int limit) => after < 0 || limit is < 1 or > MaxLimit
        ? Invalid($"'after' is 0 or more and 'limit' 1 to {MaxLimit}; got after={after}, limit={limit}.")
        : null;

    private static ProblemHttpResult Invalid(string detail) =>
        TypedResults.Problem(detail, statusCode: 400, title: "Invalid request", type: "urn:daprorders:invalid-request");

    private static ProblemHttpResult NoSuchLane(string lane) => TypedResults.Problem(
        $"There is no lane '{lane}'; GET /event-log lists them.", statusCode: 404, title: "No such lane", type: "urn:daprorders:lane-not-found");

    [GeneratedRegex(@"\A[A-Za-z0-9._-]{1,64}\z")]
    private static partial Regex LaneName();
}

/// <summary>The body of POST /event-log/streams.</summary>
public sealed record StreamRanges(IReadOnlyList<StreamRange> Ranges);
