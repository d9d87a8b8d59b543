using DaprOrders.EventSourcing;
using DaprOrders.Ordering.FollowingOrders;
using DaprOrders.Ordering.Orders;
using DaprOrders.Ordering.PlacingOrders;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DaprOrders.Ordering.CancellingOrders;

/// <summary>The body of <c>POST /orders/{orderId}/cancellation</c>.</summary>
/// <param name="Reason">In the customer's words: up to 500 characters, kept as <c>cancellation.detail</c>.</param>
public sealed record CancelOrderRequest(string? Reason = null);

public static class CancelOrderEndpoint
{
    private const int MaxBodyBytes = 16 * 1024;
    private const int LongestReason = 500;

    public static void MapCancellingOrders(this IEndpointRouteBuilder routes) => routes.MapPost("/orders/{orderId}/cancellation", CancelAsync)
        .WithName("CancelOrder")
        .WithSummary("Cancels an order that has not been shipped. Once cancelled, it answers 200 again.")
        .WithTags("Orders")
        .RequireOwnOrder()
        .WithMetadata(new RequestSizeLimitAttribute(MaxBodyBytes))
        .AnswersProblems(400, 404, 409, 412, 413, 415, 503);

    private static async Task<Results<Ok<OrderView>, ProblemHttpResult>> CancelAsync(
        string orderId,
        CancelOrderRequest? request,
        [FromHeader(Name = "If-Match")] string? ifMatch,
        HttpContext http,
        EventStore store,
        Shipping shipping,
        OrdersUnderway underway,
        CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().RequireId(orderId, "orderId");
        if (request?.Reason is not null)
            errors.RequireText(request.Reason, "reason", LongestReason);
        errors.Require(ETags.TryReadIfMatch(ifMatch, out var version), "If-Match", ETags.Expected);
        if (errors.Any)
            return errors.ToProblem();

        var handled = await CancelAsync(shipmentStopped: false, version);
        if (handled.Refusal?.Code == Refusals.ShipmentNotStopped)
        {
            if (!await shipping.TryStopAsync(orderId, request?.Reason, cancellationToken))
                return Problems.Conflict(Refusals.OrderShipped, $"Order {orderId} has left the house and cannot be cancelled any more.");

            // The version was right when Shipping was asked; since then only the cancellation itself can have come in between.
            handled = await CancelAsync(shipmentStopped: true, version: null);
        }

        switch (handled.Refusal)
        {
            case null:
                underway.Leave(orderId);
                var view = OrderView.Of(handled.Stream)!;
                http.Response.Headers.ETag = ETags.Of(view.Version);
                return TypedResults.Ok(view);
            case { Code: Refusals.OrderNotFound } refusal:
                return Problems.NotFound(refusal.Code, refusal.Reason);
            case { } refusal:
                return Problems.Conflict(refusal.Code, refusal.Reason);
        }

        Task<Handled<Order>> CancelAsync(bool shipmentStopped, long? version) => store.HandleAsync(
            Order.Category,
            orderId,
            order => OrderDecider.Decide(order, new OrderCommand.Cancel(orderId, request?.Reason, shipmentStopped)),
            new CommandContext(ExpectedVersion: version),
            cancellationToken);
    }
}
