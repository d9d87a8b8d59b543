using DaprOrders.EventSourcing;
using DaprOrders.Reporting.Orders;
using DaprOrders.Reporting.Sales;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Reporting.Following;

/// <param name="Topic">What is read of the publisher's log: what it publishes there.</param>
/// <param name="Position">Up to which commit of the lane everything is in the read models.</param>
/// <param name="Events">Events read so far.</param>
internal sealed record LaneView(string Publisher, string Topic, string Lane, long Position, long Events);

internal sealed record VersionView(long Version, DateTimeOffset? Since, long Events, IReadOnlyList<LaneView> Lanes);

/// <param name="At">When the last reading failed.</param>
/// <param name="Since">When the first one did of those that have failed one after the other.</param>
/// <param name="Attempts">How many that are.</param>
internal sealed record FollowingFailure(string Reason, DateTimeOffset At, DateTimeOffset Since, int Attempts);

/// <param name="Building">The version that a rebuild fills; null when none is going on.</param>
/// <param name="Failure">Why this instance cannot follow the event logs now.</param>
internal sealed record ProjectionsView(VersionView Serving, VersionView? Building, FollowingFailure? Failure);

internal static class ProjectionEndpoints
{
    public static void MapProjections(this WebApplication app)
    {
        var group = app.MapGroup("/projections").WithTags("Projections");
        group.MapGet("/", ReadAsync).AnswersProblems(503).WithSummary("How far the read models are, lane by lane of the publishers' event logs.");
        group.MapPost("/rebuild", RebuildAsync).AnswersProblems(503)
            .WithSummary("Fills a new version of the read models from the event logs while the present one serves, then switches.");
    }

    private static async Task<Ok<ProjectionsView>> ReadAsync(
        ProjectionVersions versions, Projections projections, FollowingLogs following, CancellationToken cancellationToken)
    {
        var state = await versions.ReadAsync(cancellationToken);
        return TypedResults.Ok(new ProjectionsView(
            await ViewAsync(projections.Sales(state.Serving), state.Serving, state.ServingSince, cancellationToken),
            state.Building is { } building ? await ViewAsync(projections.Sales(building), building, state.BuildingSince, cancellationToken) : null,
            following.Failure));
    }

    private static async Task<Accepted> RebuildAsync(ProjectionVersions versions, Wakeup wakeUp, CancellationToken cancellationToken)
    {
        await versions.RebuildAsync(cancellationToken);
        wakeUp.Set();
        return TypedResults.Accepted("/projections");
    }

    private static async Task<VersionView> ViewAsync(SalesFigures sales, long version, DateTimeOffset? since, CancellationToken cancellationToken)
    {
        var lanes = (await sales.ReadLanesAsync(cancellationToken))
            .Select(lane => new LaneView(lane.Lane.Publisher, SourceEvents.TopicOf(lane.Lane.Publisher), lane.Lane.Name, lane.Tally.Position, lane.Tally.Events))
            .ToList();
        return new VersionView(version, since, lanes.Sum(lane => lane.Events), lanes);
    }
}
