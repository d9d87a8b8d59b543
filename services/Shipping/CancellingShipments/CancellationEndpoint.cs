using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.Errors;
using DaprOrders.Shipping.Shipments;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Shipping.CancellingShipments;

/// <summary>The body of <c>POST /shipments/{orderId}/cancellation</c>.</summary>
/// <param name="Reason">In the customer's words: up to 500 characters.</param>
public sealed record CancelShipmentRequest(string? Reason = null);

public static class CancellationEndpoint
{
    private const int LongestReason = 500;

    public static void MapCancelling(this IEndpointRouteBuilder routes) => routes.MapPost("/shipments/{orderId}/cancellation", CancelAsync)
        .WithSummary(
            "Stops the shipment of a paid order, also one that has not arrived here yet. 200: nothing will be sent, whatever arrives later. "
            + "404: Ordering has no such order, or it is not paid. 409: it has left.")
        .RequireCaller("ordering")
        .AnswersProblems(400, 404, 409, 413, 415, 503);

    private static async Task<Results<Ok<ShipmentView>, ProblemHttpResult>> CancelAsync(
        string orderId, CancelShipmentRequest? request, EventStore store, PaymentsInOrdering ordering, HttpContext http, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().RequireId(orderId, nameof(orderId));
        if (request?.Reason is not null)
        {
            errors.RequireText(request.Reason, "reason", LongestReason);
        }

        if (errors.Any)
        {
            return errors.ToProblem();
        }

        // Ordering may ask before the message of the payment is here. Nobody else's word is taken for it that there is anything to stop.
        if (!(await store.LoadAsync(Shipment.Category, orderId, cancellationToken)).Exists)
        {
            switch (await ordering.AskAsync(orderId, cancellationToken))
            {
                case PaymentInOrdering.Unknown:
                    return Problems.TryLater(http, "ordering-unavailable", $"Ordering did not tell whether order {orderId} is paid. Try again.");
                case PaymentInOrdering.NotPaid:
                    return Problems.NotFound(Refusals.NotFound, $"Order {orderId} has no shipment to stop: Ordering has no such order, or it is not paid.");
            }
        }

        return await ShipmentView.AfterAsync(new ShipmentCommand.Cancel(orderId, request?.Reason), store, cancellationToken);
    }
}
