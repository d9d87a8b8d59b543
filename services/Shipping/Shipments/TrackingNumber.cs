using System.Security.Cryptography;
using System.Text;

namespace DaprOrders.Shipping.Shipments;

/// <summary>The same for an order however often it is asked for: <c>DO-</c> and 12 hex digits of the order id's SHA-256.</summary>
public static class TrackingNumber
{
    private const int Digits = 12;

    public static string Of(string orderId) => $"DO-{Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(orderId)))[..Digits]}";
}
