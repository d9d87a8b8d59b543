using DaprOrders.EventSourcing.Projections;

namespace DaprOrders.Ordering.Pricing;

/// <summary>The copy of Inventory's price list in Ordering's state store: one document per SKU, the highest version wins.</summary>
public sealed class ProductReplica(Documents documents)
{
    /// <summary>Those of the products that are known here.</summary>
    public async Task<IReadOnlyCollection<Product>> ReadAsync(IEnumerable<string> skus, CancellationToken cancellationToken) =>
        [.. (await documents.ReadAsync<Product>([.. skus.Select(KeyOf)], cancellationToken)).Values];

    /// <summary>Keeps the product unless a later version is known already; answers the later one.</summary>
    public async Task<Product> ApplyAsync(Product product, CancellationToken cancellationToken) =>
        await documents.ChangeAsync<Product>(
            KeyOf(product.Sku), known => known is not null && known.Version >= product.Version ? known : product, cancellationToken) ?? product;

    private static string KeyOf(string sku) => $"product|{sku}";
}
