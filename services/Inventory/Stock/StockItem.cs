using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DaprOrders.EventSourcing;

namespace DaprOrders.Inventory.Stock;

/// <summary>
/// The stock of one SKU: counters, as small with a million open orders as with one. What an order holds is asked of the event that granted it.
/// </summary>
/// <param name="Received">Ever received; <c>Received = OnHand + Shipped</c>.</param>
/// <param name="Reserved">Held for orders; <c>0 &lt;= Reserved &lt;= OnHand</c>.</param>
/// <param name="EarlierHolds">Quantity by order id, of the open holds whose grant is a <see cref="GoodsHeld"/>: it has no name, and there are no new ones.</param>
public sealed record StockItem(long Received, long Shipped, long Reserved, ImmutableDictionary<string, int> EarlierHolds)
{
    public static StockItem Empty { get; } = new(0, 0, 0, ImmutableDictionary<string, int>.Empty);

    public static StreamCategory<StockItem, StockEvent> Category { get; } = new("stock", null, Empty, Evolve, SnapshotVersion: 2, StockEvent.NameOf);

    [JsonIgnore]
    public long OnHand => Received - Shipped;

    [JsonIgnore]
    public long Available => OnHand - Reserved;

    public static StockItem Evolve(StockItem stock, StockEvent happened) => happened switch
    {
        GoodsReceived e => stock with { Received = stock.Received + e.Quantity },
        HoldGranted e => stock with { Reserved = stock.Reserved + e.Quantity },
        HoldRefused => stock,
        HoldReleased e => stock.Without(e.OrderId, e.Quantity),
        HoldFulfilled e => stock.Without(e.OrderId, e.Quantity) with { Shipped = stock.Shipped + e.Quantity },

        GoodsHeld e => stock with { Reserved = stock.Reserved + e.Quantity, EarlierHolds = stock.EarlierHolds.Add(e.OrderId, e.Quantity) },
        GoodsReleased e => stock.Without(e.OrderId, stock.EarlierHolds[e.OrderId]),
        HoldForestalled => stock,
        GoodsShipped e => stock.Without(e.OrderId, stock.EarlierHolds[e.OrderId]) with { Shipped = stock.Shipped + stock.EarlierHolds[e.OrderId] },
        _ => throw new UnknownEventException($"The stock of an SKU knows no {happened.GetType().Name}."),
    };

    private StockItem Without(string orderId, int quantity) => this with { Reserved = Reserved - quantity, EarlierHolds = EarlierHolds.Remove(orderId) };
}
