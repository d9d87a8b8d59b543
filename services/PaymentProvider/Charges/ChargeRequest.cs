namespace DaprOrders.PaymentProvider;

/// <param name="Amount">Above 0, at most 1,000,000, two decimals.</param>
/// <param name="Currency">ISO 4217, for instance EUR.</param>
/// <param name="PaymentMethod">A token, see <see cref="PaymentMethods"/>.</param>
/// <param name="Reference">The merchant's own reference, 1-255 characters; it is on every line of the ledger.</param>
public sealed record ChargeRequest(decimal? Amount, string? Currency, string? PaymentMethod, string? Reference)
{
    public IReadOnlyList<(string Field, string Error)> Errors() =>
    [
        .. AmountErrors("amount", Amount),
        .. Currency is { Length: 3 } && Currency.All(char.IsAsciiLetterUpper) ? [] : One("currency", "Expected three capital letters (ISO 4217)."),
        .. PaymentMethod is { Length: >= 1 and <= 64 } ? [] : One("paymentMethod", "Expected a payment method token of 1 to 64 characters."),
        .. Reference is { Length: >= 1 and <= 255 } && !Reference.Any(char.IsControl) ? [] : One("reference", "Expected 1 to 255 characters, no control characters."),
    ];

    public static IReadOnlyList<(string Field, string Error)> AmountErrors(string field, decimal? amount) =>
        amount is > 0 and <= 1_000_000 && decimal.Round(amount.Value, 2) == amount ? [] : One(field, "Expected an amount above 0, at most 1000000, with at most two decimals.");

    private static (string Field, string Error)[] One(string field, string error) => [(field, error)];
}

/// <param name="Amount">Null gives back everything that is left.</param>
public sealed record RefundRequest(decimal? Amount);

/// <param name="Status">succeeded, or refunded when nothing is left of it.</param>
public sealed record Charge(
    string Id, string Status, decimal Amount, decimal AmountRefunded, string Currency, string PaymentMethod, string Reference, DateTimeOffset CreatedAt)
{
    public static Charge Of(LedgerEntry entry, decimal refunded) => new(
        entry.Id, refunded == entry.Amount ? "refunded" : "succeeded", entry.Amount, refunded, entry.Currency, entry.PaymentMethod, entry.Reference, entry.At);
}

public sealed record Refund(string Id, string ChargeId, decimal Amount, string Currency, DateTimeOffset CreatedAt);
