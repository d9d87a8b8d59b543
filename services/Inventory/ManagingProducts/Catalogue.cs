using System.Collections.Immutable;
using DaprOrders.EventSourcing;

namespace DaprOrders.Inventory.ManagingProducts;

/// <summary>A SKU came on the list. Streams <c>catalogue-{shard}</c>, not published.</summary>
public sealed record SkuListed(string Sku);

/// <summary>Which SKUs there are: Dapr's state API cannot list keys. An entry is written before its product, so every product is listed.</summary>
public sealed class Catalogue(EventStore store)
{
    /// <summary>A new product rewrites a sixteenth of the list.</summary>
    private static readonly Shards Shards = new(16);

    private static readonly StreamCategory<ImmutableHashSet<string>, SkuListed> Category =
        new("catalogue", null, [], (skus, listed) => skus.Add(listed.Sku));

    public Task AddAsync(string sku, CancellationToken cancellationToken) => store.HandleAsync(
        Category,
        Shards.Of(sku),
        skus => skus.Contains(sku) ? Decision<SkuListed>.Nothing : new SkuListed(sku),
        new CommandContext(),
        cancellationToken);

    /// <summary>In ordinal order, those after <paramref name="after"/>.</summary>
    public async Task<IReadOnlyList<string>> ReadAsync(string? after, int limit, CancellationToken cancellationToken)
    {
        var shards = await Task.WhenAll(Shards.All.Select(shard => store.LoadAsync(Category, shard, cancellationToken)));
        return
        [
            .. shards.SelectMany(shard => shard.State)
                .Where(sku => string.CompareOrdinal(sku, after) > 0)
                .Order(StringComparer.Ordinal)
                .Take(limit),
        ];
    }
}
