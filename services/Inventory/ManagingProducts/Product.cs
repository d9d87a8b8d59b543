using System.Diagnostics;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Inventory.ManagingProducts;

/// <summary>One SKU of the price list; null while it is not listed.</summary>
public sealed record Product(string Name, Money Price)
{
    public static StreamCategory<Product?, ProductEvent> Category { get; } = new("product", "products", null, Evolve);

    /// <summary>Lists the product, or changes it; asked for what it already is, nothing happens.</summary>
    public static Decision<ProductEvent> Put(Product? product, string sku, Product wanted) =>
        product is null ? new ProductListed(sku, wanted.Name, wanted.Price)
        : product == wanted ? Decision<ProductEvent>.Nothing
        : new ProductChanged(sku, wanted.Name, wanted.Price);

    private static Product? Evolve(Product? product, ProductEvent happened) => happened switch
    {
        ProductListed e => new Product(e.Name, e.Price),
        ProductChanged e => new Product(e.Name, e.Price),
        _ => throw new UnreachableException($"A product knows no {happened.GetType().Name}."),
    };
}
