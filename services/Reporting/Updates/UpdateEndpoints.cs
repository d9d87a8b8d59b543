using System.Globalization;
using DaprOrders.Reporting.Following;
using DaprOrders.Reporting.Orders;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;

namespace DaprOrders.Reporting.Updates;

/// <summary>The event <c>reset</c>: what came after the client's position cannot be told any more, so it reads the list again.</summary>
/// <param name="Position">Updates follow from here on.</param>
internal sealed record ResetView(string Position);

internal static class UpdateEndpoints
{
    private const string LastEventId = "Last-Event-ID";

    public static void MapUpdates(this WebApplication app)
    {
        app.MapGet("/updates", AllAsync).WithTags("Updates").AnswersProblems(400, 503)
            .Produces<OrderUpdateView>(StatusCodes.Status200OK, ServerSentEvents.ContentType)
            // It lasts as long as the client is there: no duration of a request.
            .DisableHttpMetrics()
            .WithSummary("What becomes of orders, as server-sent events: from now on, or from after the event whose id Last-Event-ID (or after) names.");
        app.MapGet("/orders/{orderId}/updates", OfOrderAsync).WithTags("Updates").AnswersProblems(400, 404, 503)
            .Produces<OrderUpdateView>(StatusCodes.Status200OK, ServerSentEvents.ContentType)
            .Produces(StatusCodes.Status204NoContent)
            .DisableHttpMetrics()
            .RequireAuthorization(Policies.Buyer)
            .WithSummary("One order, as server-sent events: how it is now, then what becomes of it until it is shipped or cancelled. 204: nothing more to come.");
    }

    private static async Task<IResult> AllAsync(
        UpdateFeed feed,
        string? status,
        string? after,
        [FromHeader(Name = LastEventId)] string? lastEventId,
        CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().RequireStatus(status);
        if (errors.Any)
            return errors.ToProblem();

        // A connection that was lost is opened anew under the same address: what the client has had since then counts.
        var from = string.IsNullOrEmpty(lastEventId) ? after : lastEventId;
        var updates = await feed.SubscribeAsync(
            string.IsNullOrEmpty(from) ? null : from, update => status is null || update.Status == status, cancellationToken);
        var position = updates.Position.ToString();
        byte[] reset = updates.IsAnew ? [.. ServerSentEvents.Id(position), .. ServerSentEvents.Event("reset", new ResetView(position))] : [];
        return new UpdateStream(updates, [.. ServerSentEvents.Beginning(position), .. reset], update => update.Frame, isLast: _ => false);
    }

    private static async Task<IResult> OfOrderAsync(
        string orderId,
        [FromHeader(Name = LastEventId)] string? lastEventId,
        HttpContext http,
        UpdateFeed feed,
        Projections projections,
        IOptions<ReportingOptions> options,
        TimeProvider time,
        CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().RequireId(orderId, "orderId");
        if (errors.Any)
            return errors.ToProblem();

        // First listen, then look: nothing falls between the two.
        var updates = await feed.SubscribeAsync(null, update => update.OrderId == orderId, cancellationToken);
        IResult? answer = null;
        try
        {
            var order = await FindAsync(updates, orderId, order => http.MayActFor(order.CustomerId!), projections, options.Value.AwaitOrder, time, cancellationToken);
            return answer = order is not null
                ? Following(order, updates, lastEventId)
                : Problems.NotFound("order-not-found", $"There is no order {orderId}.");
        }
        finally
        {
            if (answer is not UpdateStream)
                updates.Dispose();
        }
    }

    private static IResult Following(OrderSummary order, UpdateSubscription updates, string? lastEventId)
    {
        var now = new OrderUpdate(OrderUpdateView.Of(order, order.History[^1]), "", default);
        var version = now.View.Version;
        if (now.View.IsLast)
        {
            // Whoever has the last one and comes back, as browsers do after every end, is told to stay away.
            if (lastEventId == version.ToString(CultureInfo.InvariantCulture))
                return TypedResults.NoContent();
            updates.Complete();
        }

        return new UpdateStream(updates, [.. ServerSentEvents.Beginning(position: null), .. now.AsOfOrder()], FrameOf, update => update.IsLast);

        byte[] FrameOf(SentUpdate sent)
        {
            var (update, known) = (sent.Update, version);
            version = Math.Max(version, update.View.Version);
            return update.View.Version > known ? update.AsOfOrder() : [];
        }
    }

    /// <summary>
    /// Who has just placed an order may be here before it is. Another buyer's order is waited for like one that does not exist: how long the answer
    /// takes tells nobody which ids there are.
    /// </summary>
    private static async Task<OrderSummary?> FindAsync(
        UpdateSubscription updates, string orderId, Func<OrderSummary, bool> mayBeSeen, Projections projections, TimeSpan patience, TimeProvider time, CancellationToken cancellationToken)
    {
        using var enough = new CancellationTokenSource(patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(enough.Token, cancellationToken);
        while (true)
        {
            var orders = await projections.ServingOrdersAsync(cancellationToken);
            if ((await orders.ReadAsync([orderId], cancellationToken)).GetValueOrDefault(orderId) is { Status: not null } order && mayBeSeen(order))
                return order;

            try
            {
                if (!await updates.Updates.WaitToReadAsync(either.Token))
                    return null;
                updates.Updates.TryRead(out _);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                return null;
            }
        }
    }
}
