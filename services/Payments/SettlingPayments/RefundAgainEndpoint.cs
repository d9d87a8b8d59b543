using DaprOrders.EventSourcing;
using DaprOrders.Payments.Payments;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Payments.SettlingPayments;

public static class RefundAgainEndpoint
{
    public static void MapRefundingAgain(this IEndpointRouteBuilder routes) => routes
        .MapPost("/payments/{orderId}/refund", RefundAsync)
        .WithSummary("Asks the provider once more for a refund that it refused, after somebody has seen to the reason. 202: it is asked; GET /payments/{orderId} tells the outcome.")
        .AnswersProblems(400, 404, 409, 503);

    private static async Task<Results<Accepted, ProblemHttpResult>> RefundAsync(
        string orderId, EventStore store, OpenPayments open, CancellationToken cancellationToken)
    {
        if (!FieldErrors.IsId(orderId))
        {
            return new FieldErrors().RequireId(orderId, nameof(orderId)).ToProblem();
        }

        var handled = await store.HandleAsync(
            Payment.Category,
            orderId,
            payment => PaymentDecider.Decide(payment, new PaymentCommand.RefundAgain(orderId)),
            new CommandContext(),
            cancellationToken);
        if (handled.Stream.State.IsUnsettled)
        {
            open.AddNew(orderId, handled.Stream);
        }

        return handled.Refusal switch
        {
            null => TypedResults.Accepted($"/payments/{orderId}"),
            { Code: PaymentDecider.NotFound } refusal => Problems.NotFound(refusal.Code, refusal.Reason),
            var refusal => Problems.Conflict(refusal.Code, refusal.Reason),
        };
    }
}
