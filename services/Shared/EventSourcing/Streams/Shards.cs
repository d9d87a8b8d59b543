using System.Security.Cryptography;
using System.Text;

namespace DaprOrders.EventSourcing;

/// <summary>A list that many write to is spread over a few streams, so that its writers seldom meet.</summary>
/// <param name="Count">At most 256. It stays as it is once something is written: the key decides where an entry is.</param>
public readonly record struct Shards(int Count)
{
    /// <summary>The ids of all shards.</summary>
    public IEnumerable<string> All => Enumerable.Range(0, Count).Select(shard => $"{shard}");

    /// <summary>The id of the shard that a key belongs to.</summary>
    public string Of(string key) => $"{SHA256.HashData(Encoding.UTF8.GetBytes(key))[0] % Count}";
}
