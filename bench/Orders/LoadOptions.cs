using System.CommandLine;

namespace DaprOrders.Bench.Orders;

/// <summary>What several commands ask for alike.</summary>
internal static class LoadOptions
{
    /// <summary>As many as are needed to keep two cores at work.</summary>
    public const int Callers = 128;

    private const int UsualSkus = 20;

    public static readonly Option<string> Host = new("--host") { Description = "Where services listen, at their ports of dapr.yaml", DefaultValueFactory = _ => "localhost" };
    public static readonly Option<int> Skus = new("--skus") { Description = "Products that are ordered in turn", DefaultValueFactory = _ => UsualSkus };

    /// <summary>Names of products.</summary>
    public static string[] SkuNames(int count = UsualSkus) => [.. Enumerable.Range(1, count).Select(n => $"bench-{n}")];
}
