using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.ServiceDefaults.CatchUp;

/// <param name="Position">Every commit of the lane up to here is handled, or a dead letter; what was delivered beyond it is, too.</param>
internal sealed record FollowedLane(string Lane, long Position);

/// <param name="Events">That the publisher's log has and that are not known to be handled here.</param>
/// <param name="IsAll">False: the log has more than was looked through.</param>
internal sealed record WaitingTopic(string Topic, long Events, bool IsAll);

/// <param name="Topics">The publisher's topics that are handled here.</param>
/// <param name="Waiting">Topic by topic; null: the publisher does not say.</param>
internal sealed record FollowedPublisher(string Publisher, IReadOnlyList<string> Topics, IReadOnlyList<FollowedLane> Lanes, IReadOnlyList<WaitingTopic>? Waiting);

internal sealed record CatchUpView(IReadOnlyList<FollowedPublisher> Publishers);

internal static class CatchUpEndpoints
{
    public static void MapCatchUp(this WebApplication app) => app.MapGet("/catch-up", ReadAsync).WithTags("Catch-up").AnswersProblems(503)
        .WithSummary("Up to where the event logs of those whose topics are handled here are dealt with, some seconds behind where topics bring everything, and how many events of each topic wait.");

    private static async Task<Ok<CatchUpView>> ReadAsync(FollowingPublishers following, CancellationToken cancellationToken) =>
        TypedResults.Ok(new CatchUpView(await following.ReadAsync(cancellationToken)));
}
