using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.Stock;

namespace DaprOrders.Inventory.ManagingProducts;

/// <summary>The price list, and what there is of each product.</summary>
public sealed class Products(EventStore store, Catalogue catalogue)
{
    /// <summary>Lists or changes a product; true when it is new.</summary>
    public async Task<(ProductView Product, bool IsNew)> PutAsync(string sku, Product wanted, CancellationToken cancellationToken)
    {
        if (!(await store.LoadAsync(Product.Category, sku, cancellationToken)).Exists)
        {
            await catalogue.AddAsync(sku, cancellationToken);
        }

        var handled = await store.HandleAsync(
            Product.Category, sku, product => Product.Put(product, sku, wanted), new CommandContext(), cancellationToken);
        var stock = await store.LoadAsync(StockItem.Category, sku, cancellationToken);
        return (ProductView.Of(sku, wanted, handled.Stream.Version, stock.State), handled.Appended is [{ Version: 1 }]);
    }

    /// <summary>Null when the SKU is not on the price list.</summary>
    public async Task<ProductView?> FindAsync(string sku, CancellationToken cancellationToken)
    {
        var product = await store.LoadAsync(Product.Category, sku, cancellationToken);
        if (product.State is not { } listed)
        {
            return null;
        }

        var stock = await store.LoadAsync(StockItem.Category, sku, cancellationToken);
        return ProductView.Of(sku, listed, product.Version, stock.State);
    }

    /// <summary>Those of the SKUs that are on the price list.</summary>
    public async Task<IReadOnlyList<ListedProduct>> FindListedAsync(IEnumerable<string> skus, CancellationToken cancellationToken)
    {
        // The store gathers what is read at once.
        string[] asked = [.. skus.Distinct()];
        var read = await store.LoadAsync(Product.Category, asked, cancellationToken);
        return [.. asked.Zip(read).Where(found => found.Second.State is not null)
            .Select(found => new ListedProduct(found.First, found.Second.State!.Name, found.Second.State.Price, found.Second.Version))];
    }

    /// <summary>A page of the price list in the order of the SKUs.</summary>
    public async Task<ProductPage> ReadAsync(string? after, int limit, CancellationToken cancellationToken)
    {
        var skus = await catalogue.ReadAsync(after, limit + 1, cancellationToken);
        var products = await Task.WhenAll(skus.Take(limit).Select(sku => FindAsync(sku, cancellationToken)));
        return new ProductPage([.. products.OfType<ProductView>()], skus.Count > limit ? skus[limit - 1] : null);
    }
}

/// <param name="Available">What can still be reserved: onHand - reserved.</param>
/// <param name="Version">Of the name and the price, as topic <c>products</c> counts it; the stock changes without it.</param>
public sealed record ProductView(string Sku, string Name, Money Price, long OnHand, long Reserved, long Available, long Version)
{
    public static ProductView Of(string sku, Product product, long version, StockItem stock) =>
        new(sku, product.Name, product.Price, stock.OnHand, stock.Reserved, stock.Available, version);
}

/// <param name="Version">Of the name and the price, as topic <c>products</c> counts it.</param>
public sealed record ListedProduct(string Sku, string Name, Money Price, long Version);

/// <param name="Next">The <c>after</c> of the following page; null when there is none.</param>
public sealed record ProductPage(IReadOnlyList<ProductView> Products, string? Next);
