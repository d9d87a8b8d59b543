using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DaprOrders.PaymentProvider;

public static class RefundEndpoints
{
    public static void MapRefunds(this IEndpointRouteBuilder routes) => routes
        .MapPost("/charges/{id}/refunds", RefundAsync)
        .WithSummary("Gives a charge back, wholly or in part, never more than was charged. Honours Idempotency-Key.")
        .ProducesProblem(StatusCodes.Status400BadRequest)
        .ProducesProblem(StatusCodes.Status404NotFound)
        .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
        .ProducesProblem(StatusCodes.Status415UnsupportedMediaType)
        .ProducesProblem(StatusCodes.Status422UnprocessableEntity)
        .ProducesProblem(StatusCodes.Status503ServiceUnavailable);

    private static async Task<Results<Created<Refund>, ProblemHttpResult>> RefundAsync(
        string id,
        RefundRequest request,
        [FromHeader(Name = IdempotencyKeys.Header)] string? key,
        Ledger ledger,
        HttpContext context)
    {
        var amountErrors = request.Amount is null ? [] : ChargeRequest.AmountErrors("amount", request.Amount);
        if ((IReadOnlyList<(string, string)>)[.. amountErrors, .. IdempotencyKeys.Errors(key)] is { Count: > 0 } errors)
        {
            return Problems.Invalid(errors);
        }

        if (ledger.FindCharge(id) is not var (charge, _))
        {
            return Problems.Of(404, "charge-not-found", "There is no such charge.");
        }

        var recorded = await ledger.RecordRefundAsync(charge, request.Amount, key);
        if (IdempotencyKeys.Refused(recorded, context) is { } refused)
        {
            return refused;
        }

        return recorded.Entry is { } refund
            ? TypedResults.Created($"/charges/{id}", new Refund(refund.Id, refund.ChargeId!, refund.Amount, refund.Currency, refund.At))
            : Problems.Of(422, "refund-exceeds-charge", "The charge has not that much left to give back.");
    }
}
