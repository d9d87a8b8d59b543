namespace DaprOrders.Contracts;

/// <summary>An amount in one currency (ISO 4217), two decimals.</summary>
public sealed record Money(decimal Amount, string Currency)
{
    /// <summary>No price, no order and no charge is above it, in whatever currency: the payment provider takes no more at once.</summary>
    public const decimal HighestAmount = 1_000_000m;

    public static Money operator *(Money price, int quantity) => price with { Amount = price.Amount * quantity };

    public static Money operator +(Money left, Money right) => left.Currency == right.Currency
        ? left with { Amount = left.Amount + right.Amount }
        : throw new InvalidOperationException($"Cannot add {right.Currency} to {left.Currency}.");
}
