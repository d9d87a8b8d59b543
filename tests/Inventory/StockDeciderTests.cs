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

    private static StockCommand[] All { get; } =
        [new StockCommand.Receive("r", 2), new StockCommand.Hold("o1", 2), new StockCommand.Release("o1"), new StockCommand.Ship("o1")];

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

            Assert.Equal((received, shipped, held.Values.Sum(quantity => (long)quantity)), (stock.Received, stock.Shipped, stock.Reserved));
            Assert.InRange(stock.Reserved, 0, stock.OnHand);
            Assert.Equal(stock.Received, stock.OnHand + stock.Shipped);
            Assert.Equal(stock.Reserved, stock.Holds.Values.Sum(quantity => (long)quantity));
        }
    });

    [Fact]
    public void A_command_that_is_repeated_at_once_changes_nothing_and_answers_the_same() => Check(commands =>
    {
        foreach (var (command, answer, stock) in Run(commands))
        {
            var (happened, done) = StockDecider.Decide(stock, command);
            var again = happened is null ? stock : StockItem.Evolve(stock, happened);
            // At most a release is noted as one that came first.
            Assert.Equal(answer.Done, done);
            Assert.Equivalent(stock with { Forestalled = again.Forestalled }, again, strict: true);
        }
    });

    [Fact]
    public void An_order_that_was_released_never_holds_again_when_its_release_came_first() => Check(commands =>
    {
        var forestalled = new HashSet<string>();
        var held = new HashSet<string>();
        foreach (var (command, answer, stock) in Run(commands))
        {
            if (command is StockCommand.Release release && !held.Remove(release.OrderId))
            {
                forestalled.Add(release.OrderId);
            }

            if (command is StockCommand.Ship ship)
            {
                held.Remove(ship.OrderId);
            }

            if (command is StockCommand.Hold hold && answer.Done)
            {
                Assert.DoesNotContain(hold.OrderId, forestalled);
                held.Add(hold.OrderId);
            }
        }
    });

    [Fact]
    public void A_batch_is_what_its_commands_are_one_by_one() => Check(commands =>
    {
        var (happened, answers) = StockDecider.Decide(StockItem.Empty, commands);
        var oneByOne = Run(commands).ToList();

        Assert.Equal(oneByOne.Select(step => step.Answer), answers);
        Assert.Equivalent(oneByOne.LastOrDefault().Stock ?? StockItem.Empty, happened.Aggregate(StockItem.Empty, StockItem.Evolve));
    });

    [Fact]
    public void A_stock_keeps_only_what_is_open()
    {
        var stock = StockItem.Empty;
        for (var number = 0; number < 2_000; number++)
        {
            stock = After(
                stock,
                new StockCommand.Receive($"r{number}", 1),
                new StockCommand.Hold($"shipped{number}", 1),
                new StockCommand.Ship($"shipped{number}"),
                new StockCommand.Receive($"s{number}", 1),
                new StockCommand.Hold($"released{number}", 1),
                new StockCommand.Release($"released{number}"),
                new StockCommand.Release($"never-held{number}"));
        }

        Assert.Empty(stock.Holds);
        Assert.Equal((4_000, 2_000, 0), (stock.Received, stock.Shipped, stock.Reserved));
        Assert.True(System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(stock, EventTypes.Json).Length < 16 * 1024);
    }

    [Fact]
    public void A_stock_survives_being_stored()
    {
        var stock = After(StockItem.Empty, [.. All, new StockCommand.Receive("r2", 5), new StockCommand.Hold("o2", 3), new StockCommand.Release("o3")]);
        var stored = System.Text.Json.JsonSerializer.Serialize(stock, EventTypes.Json);

        Assert.Equivalent(stock, System.Text.Json.JsonSerializer.Deserialize<StockItem>(stored, EventTypes.Json), strict: true);
    }

    private static void Check(Action<StockCommand[]> property) =>
        Prop.ForAll(Sequences, property).Check(Config.QuickThrowOnFailure.WithMaxTest(500).WithEndSize(80));

    private static IEnumerable<(StockCommand Command, StockAnswer Answer, StockItem Stock)> Run(IEnumerable<StockCommand> commands)
    {
        var stock = StockItem.Empty;
        foreach (var command in commands)
        {
            var (happened, answers) = StockDecider.Decide(stock, [command]);
            stock = happened.Aggregate(stock, StockItem.Evolve);
            yield return (command, answers[0], stock);
        }
    }

    private static StockItem After(StockItem stock, params StockCommand[] commands) =>
        StockDecider.Decide(stock, commands).Happened.Aggregate(stock, StockItem.Evolve);
}
