using System.Security.Cryptography;
using System.Text;
using DaprOrders.EventSourcing;

namespace DaprOrders.Ordering.PlacingOrders;

/// <summary>
/// The client's name for one order: with it the order's id follows from customer and key, so the order's stream itself is what a
/// repeated request meets.
/// </summary>
public static class IdempotencyKey
{
    public const string Header = "Idempotency-Key";
    public const string ReplayedHeader = "Idempotency-Replayed";
    public const string Expected = "1 to 255 visible ASCII characters are expected.";

    public static bool IsValid(string key) => key.Length is >= 1 and <= 255 && !key.AsSpan().ContainsAnyExceptInRange('!', '~');

    // A customer's id has no line break, so no two pairs of customer and key read the same.
    public static string OrderIdOf(string customerId, string key) => HashedId.Of($"{customerId}\n{key}");

    /// <summary>Equal for requests that ask for the same, however their JSON is written.</summary>
    public static string FingerprintOf(WantedOrder order)
    {
        var text = new StringBuilder().Append(order.CustomerId).Append('\n').Append(order.PaymentMethod);
        foreach (var line in order.Lines)
            text.Append('\n').Append(line.Sku).Append(' ').Append(line.Quantity);

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())));
    }
}
