using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DaprOrders.PaymentProvider;

public static class ChargeEndpoints
{
    public static void MapCharges(this IEndpointRouteBuilder routes)
    {
        routes.MapPost("/charges", ChargeAsync)
            .WithSummary("Charges a payment method. With an Idempotency-Key (1-255 visible ASCII) it happens once, however often it is called.")
            .ProducesProblem(StatusCodes.Status400BadRequest)
            .ProducesProblem(StatusCodes.Status402PaymentRequired)
            .ProducesProblem(StatusCodes.Status413PayloadTooLarge)
            .ProducesProblem(StatusCodes.Status415UnsupportedMediaType)
            .ProducesProblem(StatusCodes.Status422UnprocessableEntity)
            .ProducesProblem(StatusCodes.Status503ServiceUnavailable);
        routes.MapGet("/charges/{id}", Find)
            .WithSummary("A charge, and how much of it was given back.")
            .ProducesProblem(StatusCodes.Status404NotFound);
    }

    private static async Task<Results<Created<Charge>, ProblemHttpResult>> ChargeAsync(
        ChargeRequest request,
        [FromHeader(Name = IdempotencyKeys.Header)] string? key,
        Ledger ledger,
        Flakiness flakiness,
        TimeProvider time,
        IHostApplicationLifetime lifetime,
        HttpContext context)
    {
        if ((IReadOnlyList<(string, string)>)[.. request.Errors(), .. IdempotencyKeys.Errors(key)] is { Count: > 0 } errors)
        {
            return Problems.Invalid(errors);
        }

        if (!PaymentMethods.Exists(request.PaymentMethod!))
        {
            return Problems.Of(422, "unknown-payment-method", "There is no such payment method.");
        }

        if (request.PaymentMethod == PaymentMethods.Flaky && !ledger.Knows(key) && flakiness.Fails(key ?? request.Reference!))
        {
            return Problems.Of(503, "try-again", "The bank did not answer. Nothing was charged; try again with the same Idempotency-Key.");
        }

        // What is decided is recorded whether or not the caller still waits, as with any company.
        var kind = request.PaymentMethod == PaymentMethods.Declined ? EntryKind.Decline : EntryKind.Charge;
        var recorded = await ledger.RecordChargeAsync(request, kind, key);
        if (!recorded.Replayed && AnswersAfter(request.PaymentMethod!) is { } wait)
        {
            using var gone = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
            await Task.Delay(wait, time, gone.Token);
        }

        return IdempotencyKeys.Refused(recorded, context) ?? Answer(recorded.Entry!, ledger);
    }

    private static Results<Created<Charge>, ProblemHttpResult> Answer(LedgerEntry entry, Ledger ledger) => entry.Kind == EntryKind.Charge
        ? TypedResults.Created($"/charges/{entry.Id}", Charge.Of(entry, ledger.FindCharge(entry.Id)?.Refunded ?? 0))
        : Problems.Of(402, "card_declined", "The card was declined.", "The bank declined the charge. Nothing was charged.");

    private static TimeSpan? AnswersAfter(string paymentMethod) => paymentMethod switch
    {
        PaymentMethods.Slow => PaymentMethods.SlowAnswer,
        PaymentMethods.NeverAnswers => Timeout.InfiniteTimeSpan,
        _ => null,
    };

    private static Results<Ok<Charge>, ProblemHttpResult> Find(string id, Ledger ledger) => ledger.FindCharge(id) is var (charge, refunded)
        ? TypedResults.Ok(Charge.Of(charge, refunded))
        : Problems.Of(404, "charge-not-found", "There is no such charge.");
}
