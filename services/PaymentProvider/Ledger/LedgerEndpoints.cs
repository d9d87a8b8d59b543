using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.PaymentProvider;

public static class LedgerEndpoints
{
    private const int MaxLimit = 1000;

    public static void MapLedger(this IEndpointRouteBuilder routes) => routes
        .MapGet("/ledger", ReadLedger)
        .WithSummary("Every charge and refund ever made, oldest first; `next` is the `after` of the following page.")
        .ProducesProblem(StatusCodes.Status400BadRequest);

    private static Results<Ok<LedgerPage>, ProblemHttpResult> ReadLedger(Ledger ledger, long after = 0, int limit = 100)
    {
        if (after < 0 || limit is < 1 or > MaxLimit)
        {
            return Problems.Invalid((after < 0 ? "after" : "limit", after < 0 ? "Expected the `next` of an earlier page, or 0." : $"Expected 1 to {MaxLimit}, got {limit}."));
        }

        var entries = ledger.Read(after).Take(limit).ToList();
        return TypedResults.Ok(new LedgerPage(
            [.. entries.Select(line => LedgerLine.Of(line.Entry))],
            entries.Count == 0 ? after : entries[^1].Position));
    }
}

/// <param name="Next">Where this page ended: the <c>after</c> of the next call. An empty page means that there is nothing more yet.</param>
public sealed record LedgerPage(IReadOnlyList<LedgerLine> Entries, long Next);

/// <param name="Kind">charge or refund.</param>
/// <param name="ChargeId">The charge itself, or the one that the refund gives back.</param>
public sealed record LedgerLine(string Id, string Kind, string ChargeId, decimal Amount, string Currency, string Reference, DateTimeOffset At)
{
    public static LedgerLine Of(LedgerEntry entry) => new(
        entry.Id, entry.Kind == EntryKind.Charge ? "charge" : "refund", entry.ChargeId ?? entry.Id, entry.Amount, entry.Currency, entry.Reference, entry.At);
}
