using DaprOrders.EventSourcing;
using DaprOrders.Inventory.Stock;

namespace DaprOrders.Inventory.ReceivingStock;

/// <summary>Goods were received under an Idempotency-Key. Stream <c>receipt-{hash of SKU and key}</c>, not published.</summary>
public sealed record ReceiptBooked(string Sku, int Quantity);

public enum ReceiptOutcome
{
    Booked,

    /// <summary>The key stands for this receipt, which is in the stock already.</summary>
    Replayed,

    /// <summary>The key stands for a receipt of another quantity.</summary>
    KeyReused,
}

/// <summary>
/// Takes goods into stock, once under a key. Until the receipt's own stream is written, the stock itself remembers it, so a caller who got no
/// answer may ask again at any time.
/// </summary>
public sealed class Receipts(EventStore store, StockItems stock)
{
    private static readonly StreamCategory<ReceiptBooked?, ReceiptBooked> Category = new("receipt", null, null, (_, booked) => booked);

    public async Task<ReceiptOutcome> BookAsync(string sku, int quantity, string? key, CancellationToken cancellationToken)
    {
        if (key is null)
        {
            await stock.SendAsync(sku, new StockCommand.Receive(Guid.CreateVersion7().ToString("N"), quantity), cancellationToken);
            return ReceiptOutcome.Booked;
        }

        var id = HashedId.Of($"{sku}\n{key}");
        if ((await store.LoadAsync(Category, id, cancellationToken)).State is { } booked)
        {
            return booked.Quantity == quantity ? ReceiptOutcome.Replayed : ReceiptOutcome.KeyReused;
        }

        var answer = await stock.SendAsync(sku, new StockCommand.Receive(id, quantity), cancellationToken);
        if (!answer.Done)
        {
            return ReceiptOutcome.KeyReused;
        }

        await store.HandleAsync(
            Category,
            id,
            known => known is null ? new ReceiptBooked(sku, quantity) : Decision<ReceiptBooked>.Nothing,
            new CommandContext(),
            cancellationToken);
        return ReceiptOutcome.Booked;
    }
}
