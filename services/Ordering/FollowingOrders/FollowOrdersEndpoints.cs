using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Orders;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Ordering.FollowingOrders;

public static class FollowOrdersEndpoints
{
    // An order has at most four events; the limit only says so.
    private const int MostEvents = 1000;

    public static void MapFollowingOrders(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/orders/{orderId}", GetAsync)
            .WithName("GetOrder")
            .WithSummary("The order, read from its events and never stale; with ?version=n as it was after event n.")
            .WithTags("Orders")
            .RequireOwnOrder()
            .AnswersProblems(400, 404, 503);
        routes.MapGet("/orders/{orderId}/events", GetEventsAsync)
            .WithName("GetOrderEvents")
            .WithSummary("What happened to the order, oldest first.")
            .WithTags("Orders")
            .RequireOwnOrder()
            .AnswersProblems(400, 404, 503);
    }

    private static async Task<Results<Ok<OrderView>, ProblemHttpResult>> GetAsync(
        string orderId, long? version, HttpContext http, EventStore store, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().RequireId(orderId, "orderId");
        if (version is not null)
            errors.RequireRange(version, "version", 1, long.MaxValue);
        if (errors.Any)
            return errors.ToProblem();

        var stream = version is { } asOf
            ? await store.LoadAsync(Order.Category, orderId, asOf, cancellationToken)
            : await store.LoadAsync(Order.Category, orderId, cancellationToken);
        if (stream is null || OrderView.Of(stream) is not { } view)
            return NotFound(orderId, version);

        http.Response.Headers.ETag = ETags.Of(view.Version);
        return TypedResults.Ok(view);
    }

    private static async Task<Results<Ok<OrderEventView[]>, ProblemHttpResult>> GetEventsAsync(
        string orderId, EventStore store, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().RequireId(orderId, "orderId");
        if (errors.Any)
            return errors.ToProblem();

        var events = await store.ReadStreamAsync(Order.Category.StreamOf(orderId), after: 0, MostEvents, cancellationToken);
        if (events.Count == 0)
            return NotFound(orderId, version: null);

        return TypedResults.Ok(events.Select(e => new OrderEventView(
            e.Id, e.Version, e.Type, e.SchemaVersion, e.OccurredAt, e.CausationId, e.CorrelationId, e.Data, e.FoundBy)).ToArray());
    }

    internal static ProblemHttpResult NotFound(string orderId, long? version) => Problems.NotFound(
        Refusals.OrderNotFound,
        version is null ? $"There is no order {orderId}." : $"There is no order {orderId} that ever had version {version}.");
}
