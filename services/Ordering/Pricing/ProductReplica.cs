using DaprOrders.EventSourcing.Projections;

namespace DaprOrders.Ordering.Pricing;

/// <summary>The copy of Inventory's price list in Ordering's state store: one document per SKU, the highest version wins.</summary>
public sealed class ProductReplica(Documents documents)
{
    /// <summary>Those of the products that are known here; Inventory knows the others.</summary>
    public async Task<IReadOnlyCollection<Product>> ReadAsync(IEnumerable<string> skus, CancellationToken cancellationToken) =>
        [.. (await documents.ReadAsync<Product>([.. skus.Select(KeyOf)], cancellationToken)).Values];

    /// <summary>Keeps the products, each unless a later version of it is known already; answers the later ones.</summary>
    public async Task<IReadOnlyCollection<Product>> ApplyAsync(IEnumerable<Product> products, CancellationToken cancellationToken)
    {
        var told = products.ToDictionary(product => KeyOf(product.Sku));
        var kept = await documents.ChangeAsync<Product>(
            told.Keys, (key, known) => known is not null && known.Version >= told[key].Version ? known : told[key], cancellationToken);
        return [.. kept.Values];
    }

    private static string KeyOf(string sku) => $"product|{sku}";
}
