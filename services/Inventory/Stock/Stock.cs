using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DaprOrders.EventSourcing;

namespace DaprOrders.Inventory.Stock;

/// <summary>What happened to the stock of one SKU. Stream <c>stock-{sku}</c>, not published: others hear of reservations.</summary>
public abstract record StockEvent;

public sealed record GoodsReceived(string ReceiptId, int Quantity) : StockEvent;

public sealed record GoodsHeld(string OrderId, int Quantity) : StockEvent;

/// <summary>They are free for others again.</summary>
public sealed record GoodsReleased(string OrderId) : StockEvent;

/// <summary>A release found nothing to release: should the hold still be on its way, it comes too late.</summary>
public sealed record HoldForestalled(string OrderId) : StockEvent;

/// <summary>What was held has left the house.</summary>
public sealed record GoodsShipped(string OrderId) : StockEvent;

/// <summary>
/// The stock of one SKU. Stays small however long its stream: an order is in it only while its goods are held, the two lists are short.
/// </summary>
/// <param name="Received">Ever received; <c>Received = OnHand + Shipped</c>.</param>
/// <param name="Reserved">The sum of <paramref name="Holds"/>; <c>0 &lt;= Reserved &lt;= OnHand</c>.</param>
/// <param name="Holds">Quantity by order id.</param>
/// <param name="Forestalled">The latest orders whose release came before their hold.</param>
/// <param name="Receipts">The latest receipts, for those that are asked for once more because their answer was lost.</param>
public sealed record StockItem(
    long Received,
    long Shipped,
    long Reserved,
    ImmutableDictionary<string, int> Holds,
    ImmutableList<string> Forestalled,
    ImmutableList<GoodsReceived> Receipts)
{
    private const int MostForestalled = 256;
    private const int MostReceipts = 32;

    public static StockItem Empty { get; } = new(0, 0, 0, ImmutableDictionary<string, int>.Empty, [], []);

    public static StreamCategory<StockItem, StockEvent> Category { get; } = new("stock", null, Empty, Evolve);

    [JsonIgnore]
    public long OnHand => Received - Shipped;

    [JsonIgnore]
    public long Available => OnHand - Reserved;

    public static StockItem Evolve(StockItem stock, StockEvent happened) => happened switch
    {
        GoodsReceived e => stock with { Received = stock.Received + e.Quantity, Receipts = Latest(stock.Receipts, e, MostReceipts) },
        GoodsHeld e => stock with { Reserved = stock.Reserved + e.Quantity, Holds = stock.Holds.Add(e.OrderId, e.Quantity) },
        GoodsReleased e => stock with { Reserved = stock.Reserved - stock.Holds[e.OrderId], Holds = stock.Holds.Remove(e.OrderId) },
        HoldForestalled e => stock with { Forestalled = Latest(stock.Forestalled, e.OrderId, MostForestalled) },
        GoodsShipped e => stock with
        {
            Shipped = stock.Shipped + stock.Holds[e.OrderId],
            Reserved = stock.Reserved - stock.Holds[e.OrderId],
            Holds = stock.Holds.Remove(e.OrderId),
        },
        _ => throw new UnknownEventException($"The stock of an SKU knows no {happened.GetType().Name}."),
    };

    private static ImmutableList<T> Latest<T>(ImmutableList<T> list, T added, int most) => (list.Count < most ? list : list.RemoveAt(0)).Add(added);
}
