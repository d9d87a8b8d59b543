using System.Diagnostics;

namespace DaprOrders.Inventory.Stock;

/// <summary>What the stock of one SKU is asked for. Each may be repeated, also a week later: the second time it finds done what it asks for.</summary>
public abstract record StockCommand
{
    private StockCommand()
    {
    }

    /// <summary>The names of the stock's events that the answer rests on.</summary>
    public abstract IReadOnlyList<string> RestsOn { get; }

    public sealed record Receive(string ReceiptId, int Quantity) : StockCommand
    {
        public override IReadOnlyList<string> RestsOn => [StockEvent.NameOfReceipt(ReceiptId)];
    }

    public sealed record Hold(string OrderId, int Quantity) : StockCommand
    {
        public override IReadOnlyList<string> RestsOn => NamesOf(OrderId);
    }

    /// <summary>For an order that is over: a hold that comes later is refused.</summary>
    public sealed record Release(string OrderId) : StockCommand
    {
        public override IReadOnlyList<string> RestsOn => NamesOf(OrderId);
    }

    public sealed record Ship(string OrderId) : StockCommand
    {
        public override IReadOnlyList<string> RestsOn => NamesOf(OrderId);
    }

    private static IReadOnlyList<string> NamesOf(string orderId) => [StockEvent.NameOfGrant(orderId), StockEvent.NameOfEnd(orderId)];
}

/// <param name="Done">A hold that is not done is short, or over. A receipt that is not done has another quantity than the one recorded under its id.</param>
/// <param name="Available">What was free for others then; of a hold that is short, what there was when it was first asked for.</param>
/// <param name="IsOver">The order gets nothing here any more, though there was enough: it was released or fulfilled before.</param>
public sealed record StockAnswer(bool Done, long Available, bool IsOver = false)
{
    public bool IsShort => !Done && !IsOver;
}

/// <summary>The rules of stock: never oversold, whatever comes in whatever order, however often.</summary>
public static class StockDecider
{
    /// <summary>A batch, one command after the other: each sees what those before it did.</summary>
    /// <param name="known">By name, the events that the commands rest on, those that there are.</param>
    public static (IReadOnlyList<StockEvent> Happened, IReadOnlyList<StockAnswer> Answers) Decide(
        StockItem stock, IReadOnlyDictionary<string, StockEvent> known, IReadOnlyList<StockCommand> commands)
    {
        var events = new List<StockEvent>(commands.Count);
        var answers = new List<StockAnswer>(commands.Count);
        var named = new Dictionary<string, StockEvent>(known);
        foreach (var command in commands)
        {
            var (happened, answer) = Decide(stock, named, command);
            answers.Add(answer);
            if (happened is not null)
            {
                events.Add(happened);
                named.Add(StockEvent.NameOf(happened)!, happened);
                stock = StockItem.Evolve(stock, happened);
            }
        }

        return (events, answers);
    }

    private static (StockEvent? Happened, StockAnswer Answer) Decide(StockItem stock, Dictionary<string, StockEvent> known, StockCommand command)
    {
        var done = new StockAnswer(true, stock.Available);
        switch (command)
        {
            case StockCommand.Receive c:
                return known.GetValueOrDefault(StockEvent.NameOfReceipt(c.ReceiptId)) is GoodsReceived received
                    ? (null, done with { Done = received.Quantity == c.Quantity })
                    : (new GoodsReceived(c.ReceiptId, c.Quantity), done);

            case StockCommand.Hold c:
                return End(c.OrderId) switch
                {
                    HoldRefused refused => (null, new StockAnswer(false, refused.Available)),
                    not null => (null, new StockAnswer(false, stock.Available, IsOver: true)),
                    null when Held(c.OrderId) is not null => (null, done),
                    null when stock.Available < c.Quantity => (new HoldRefused(c.OrderId, c.Quantity, stock.Available), new StockAnswer(false, stock.Available)),
                    null => (new HoldGranted(c.OrderId, c.Quantity), done),
                };

            case StockCommand.Release c:
                return (End(c.OrderId) is null ? new HoldReleased(c.OrderId, Held(c.OrderId) ?? 0) : null, done);

            case StockCommand.Ship c:
                return (End(c.OrderId) is null && Held(c.OrderId) is { } held ? new HoldFulfilled(c.OrderId, held) : null, done);

            default:
                throw new UnreachableException($"No answer to {command}.");
        }

        StockEvent? End(string orderId) => known.GetValueOrDefault(StockEvent.NameOfEnd(orderId));

        int? Held(string orderId) => known.GetValueOrDefault(StockEvent.NameOfGrant(orderId)) is HoldGranted granted ? granted.Quantity
            : stock.EarlierHolds.TryGetValue(orderId, out var earlier) ? earlier
            : null;
    }
}
