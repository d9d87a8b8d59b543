using System.Diagnostics;
using System.Text.Json.Serialization;

namespace DaprOrders.Inventory.Stock;

/// <summary>What the stock of one SKU is asked for. Each may be repeated: the second time it finds done what it asks for.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Receive), "receive")]
[JsonDerivedType(typeof(Hold), "hold")]
[JsonDerivedType(typeof(Release), "release")]
[JsonDerivedType(typeof(Ship), "ship")]
public abstract record StockCommand
{
    private StockCommand()
    {
    }

    public sealed record Receive(string ReceiptId, int Quantity) : StockCommand;

    public sealed record Hold(string OrderId, int Quantity) : StockCommand;

    /// <summary>For an order that is over: a hold that comes later is refused.</summary>
    public sealed record Release(string OrderId) : StockCommand;

    public sealed record Ship(string OrderId) : StockCommand;
}

/// <param name="Done">A hold that is not done is short. A receipt that is not done has another quantity than the one recorded under its id.</param>
/// <param name="Available">What was free for others then.</param>
public sealed record StockAnswer(bool Done, long Available);

/// <summary>The rules of stock: never oversold, whatever comes in whatever order, however often.</summary>
public static class StockDecider
{
    /// <summary>What happens, if anything, and whether it is then as the command wants it.</summary>
    public static (StockEvent? Happened, bool Done) Decide(StockItem stock, StockCommand command) => command switch
    {
        StockCommand.Receive c => stock.Receipts.Find(receipt => receipt.ReceiptId == c.ReceiptId) is { } known
            ? (null, known.Quantity == c.Quantity)
            : (new GoodsReceived(c.ReceiptId, c.Quantity), true),

        StockCommand.Hold c when stock.Holds.ContainsKey(c.OrderId) => (null, true),
        StockCommand.Hold c when stock.Forestalled.Contains(c.OrderId) || stock.Available < c.Quantity => (null, false),
        StockCommand.Hold c => (new GoodsHeld(c.OrderId, c.Quantity), true),

        StockCommand.Release c when stock.Holds.ContainsKey(c.OrderId) => (new GoodsReleased(c.OrderId), true),
        StockCommand.Release c when stock.Forestalled.Contains(c.OrderId) => (null, true),
        StockCommand.Release c => (new HoldForestalled(c.OrderId), true),

        StockCommand.Ship c when stock.Holds.ContainsKey(c.OrderId) => (new GoodsShipped(c.OrderId), true),
        StockCommand.Ship => (null, true),

        _ => throw new UnreachableException($"No answer to {command}."),
    };

    /// <summary>A batch, one command after the other: each sees what those before it did.</summary>
    public static (IReadOnlyList<StockEvent> Happened, IReadOnlyList<StockAnswer> Answers) Decide(StockItem stock, IReadOnlyList<StockCommand> commands)
    {
        var events = new List<StockEvent>(commands.Count);
        var answers = new List<StockAnswer>(commands.Count);
        foreach (var command in commands)
        {
            var (happened, done) = Decide(stock, command);
            answers.Add(new StockAnswer(done, stock.Available));
            if (happened is not null)
            {
                events.Add(happened);
                stock = StockItem.Evolve(stock, happened);
            }
        }

        return (events, answers);
    }
}
