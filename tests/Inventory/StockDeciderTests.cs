using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.Stock;
using FsCheck;
using FsCheck.Fluent;

namespace DaprOrders.Inventory.Tests;

/// <summary>The rules of the stock of one SKU, over random sequences of commands: crossed, repeated, in any order.</summary>
public sealed class StockDeciderTests
{
    private static readonly string[] Orders = ["o1", "o2", "o3", "o4", "o5"];

    private static readonly Gen<StockCommand> Command = Gen.OneOf(
        from receipt in Gen.Choose(1, 4)
        from quantity in Gen.Choose(1, 9)
        select (StockCommand)new StockCommand.Receive($"r{receipt}", quantity),
        from order in Gen.Elements(Orders)
        from quantity in Gen.Choose(1, 6)
        select (StockCommand)new StockCommand.Hold(order, quantity),
        from order in Gen.Elements(Orders)
        select (StockCommand)new StockCommand.Release(order),
        from order in Gen.Elements(Orders)
        select (StockCommand)new StockCommand.Ship(order));

    private static readonly Arbitrary<StockCommand[]> Sequences = Command.ArrayOf().ToArbitrary();

    [Fact]
    public void Never_oversold_whatever_comes() => Check(commands =>
    {
        var received = 0L;
        var held = new Dictionary<string, int>();
        var shipped = 0L;
        var receipts = new HashSet<string>();
        foreach (var (command, answer, stock) in Run(commands))
        {
            // A second account of the same, kept from the answers alone.
            switch (command)
            {
                case StockCommand.Receive c when receipts.Add(c.ReceiptId):
                    received += c.Quantity;
                    break;
                case StockCommand.Hold c when answer.Done:
                    held.TryAdd(c.OrderId, c.Quantity);
                    break;
                case StockCommand.Release c:
                    held.Remove(c.OrderId);
                    break;
                case StockCommand.Ship c when held.Remove(c.OrderId, out var quantity):
                    shipped += quantity;
                    break;
            }

            Assert.Equal((received, shipped, held.Values.Sum(quantity => (long)quantity)), (stock.Item.Received, stock.Item.Shipped, stock.Item.Reserved));
            Assert.InRange(stock.Item.Reserved, 0, stock.Item.OnHand);
            Assert.Equal(stock.Item.Received, stock.Item.OnHand + stock.Item.Shipped);
        }
    });

    [Fact]
    public void A_command_that_is_repeated_changes_nothing_however_late() => Check(commands =>
    {
        var all = Run(commands).ToList();
        var end = all.LastOrDefault().Stock ?? Recorded.Nothing;
        foreach (var (command, first, _) in all.Where(step => step.Command is not StockCommand.Ship))
        {
            var (answer, again) = end.After(command);

            Assert.Same(end.Item, again.Item);
            // A hold that was granted may be over by now; one that was refused is short for ever.
            Assert.True(answer.Done == first.Done || answer.IsOver, $"{command}: {first}, and then {answer}");
        }
    });

    [Fact]
    public void An_order_that_is_over_never_holds_again() => Check(commands =>
    {
        var over = new HashSet<string>();
        var held = new HashSet<string>();
        foreach (var (command, answer, _) in Run(commands))
        {
            switch (command)
            {
                case StockCommand.Release c:
                    over.Add(c.OrderId);
                    break;
                case StockCommand.Ship c when held.Contains(c.OrderId):
                    over.Add(c.OrderId);
                    break;
                case StockCommand.Hold c when !answer.Done:
                    over.Add(c.OrderId);
                    break;
                case StockCommand.Hold c:
                    Assert.DoesNotContain(c.OrderId, over);
                    held.Add(c.OrderId);
                    break;
            }
        }
    });

    [Fact]
    public void A_batch_is_what_its_commands_are_one_by_one() => Check(commands =>
    {
        var (happened, answers) = StockDecider.Decide(StockItem.Empty, Recorded.Nothing.Known, commands);
        var oneByOne = Run(commands).ToList();

        Assert.Equal(oneByOne.Select(step => step.Answer), answers);
        Assert.Equivalent((oneByOne.LastOrDefault().Stock ?? Recorded.Nothing).Item, happened.Aggregate(StockItem.Empty, StockItem.Evolve));
    });

    [Fact]
    public void A_stock_is_as_small_with_many_open_orders_as_with_one()
    {
        Assert.InRange(SizeWith(openOrders: 10_000) - SizeWith(openOrders: 1), 0, 8);

        static int SizeWith(int openOrders)
        {
            var holds = Enumerable.Range(1, openOrders).Select(number => new StockCommand.Hold($"o{number}", 1));
            var (happened, _) = StockDecider.Decide(StockItem.Empty, Recorded.Nothing.Known, [new StockCommand.Receive("r", 1_000_000), .. holds]);
            var stock = happened.Aggregate(StockItem.Empty, StockItem.Evolve);
            Assert.Equal(openOrders, stock.Reserved);
            return JsonSerializer.SerializeToUtf8Bytes(stock, EventTypes.Json).Length;
        }
    }

    [Fact]
    public void What_was_written_before_ends_had_quantities_is_counted_and_can_still_end()
    {
        StockEvent[] earlier =
        [
            new GoodsReceived("r", 10), new GoodsHeld("shipped", 1), new GoodsHeld("released", 2), new GoodsHeld("open", 3), new GoodsHeld("cancelled", 4),
            new GoodsShipped("shipped"), new GoodsReleased("released"), new HoldForestalled("never"),
        ];
        var stock = Recorded.Nothing with { Item = earlier.Aggregate(StockItem.Empty, StockItem.Evolve) };
        Assert.Equal((10, 1, 7), (stock.Item.Received, stock.Item.Shipped, stock.Item.Reserved));

        (var held, stock) = stock.After(new StockCommand.Hold("open", 3));
        stock = stock.After(new StockCommand.Ship("open")).Stock.After(new StockCommand.Ship("open")).Stock.After(new StockCommand.Release("cancelled")).Stock;

        Assert.True(held.Done);
        Assert.Equal((10, 4, 0), (stock.Item.Received, stock.Item.Shipped, stock.Item.Reserved));
        Assert.Empty(stock.Item.EarlierHolds);
    }

    [Fact]
    public void A_stock_survives_being_stored()
    {
        var stock = StockItem.Evolve(new StockItem(10, 2, 3, StockItem.Empty.EarlierHolds), new GoodsHeld("o1", 1));
        var stored = JsonSerializer.Serialize(stock, EventTypes.Json);

        Assert.Equivalent(stock, JsonSerializer.Deserialize<StockItem>(stored, EventTypes.Json), strict: true);
    }

    private static void Check(Action<StockCommand[]> property) =>
        Prop.ForAll(Sequences, property).Check(Config.QuickThrowOnFailure.WithMaxTest(500).WithEndSize(80));

    private static IEnumerable<(StockCommand Command, StockAnswer Answer, Recorded Stock)> Run(IEnumerable<StockCommand> commands)
    {
        var stock = Recorded.Nothing;
        foreach (var command in commands)
        {
            (var answer, stock) = stock.After(command);
            yield return (command, answer, stock);
        }
    }

    /// <summary>A stock with its named events, as its stream keeps them.</summary>
    private sealed record Recorded(StockItem Item, Dictionary<string, StockEvent> Known)
    {
        public static Recorded Nothing => new(StockItem.Empty, []);

        public (StockAnswer Answer, Recorded Stock) After(StockCommand command)
        {
            var asked = command.RestsOn.Where(Known.ContainsKey).ToDictionary(name => name, name => Known[name]);
            var (happened, answers) = StockDecider.Decide(Item, asked, [command]);
            var known = new Dictionary<string, StockEvent>(Known);
            foreach (var named in happened)
            {
                known.Add(StockEvent.NameOf(named)!, named);
            }

            return (answers[0], new Recorded(happened.Aggregate(Item, StockItem.Evolve), known));
        }
    }
}
