using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Ordering.Pricing;

/// <summary>What Ordering knows of a product, as of event <c>Version</c> of its stream in Inventory.</summary>
public sealed record Product(string Sku, string Name, Money Price, long Version)
{
    public static Product Of(IncomingEvent incoming) => incoming.Payload switch
    {
        ProductListed e => new(e.Sku, e.Name, e.Price, incoming.Recorded.Version),
        ProductChanged e => new(e.Sku, e.Name, e.Price, incoming.Recorded.Version),
        var other => throw new UnknownEventException($"{other.GetType().Name} tells no product; it came on topic products."),
    };
}
