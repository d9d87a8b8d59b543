using System.Security.Cryptography;
using System.Text;

namespace DaprOrders.EventSourcing;

/// <summary>Ids that follow from a text and do not show it.</summary>
public static class HashedId
{
    /// <summary>32 hex digits, 128 bits as a UUID has: safe in stream names, keys and paths.</summary>
    public static string Of(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16));
}
