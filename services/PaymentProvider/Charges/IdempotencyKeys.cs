using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.PaymentProvider;

public static class IdempotencyKeys
{
    public const string Header = "Idempotency-Key";

    public static IReadOnlyList<(string Field, string Error)> Errors(string? key) =>
        key is null || (key.Length is >= 1 and <= 255 && key.All(character => character is > ' ' and <= '~')) ? [] : [(Header, "Expected 1 to 255 visible ASCII characters.")];

    /// <summary>The refusal of a key that stands for another request; otherwise null, and a replay is marked as such.</summary>
    public static ProblemHttpResult? Refused(Recorded recorded, HttpContext context)
    {
        if (recorded.Reused)
        {
            return Problems.Of(422, "idempotency-key-reused", "This Idempotency-Key stands for another request.", "Send the same body again, or take a new key.");
        }

        if (recorded.Replayed)
        {
            context.Response.Headers["Idempotency-Replayed"] = "true";
        }

        return null;
    }
}
