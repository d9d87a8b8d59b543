using System.CommandLine;
using System.Diagnostics;
using DaprOrders.Bench.Measuring;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.Stock;

namespace DaprOrders.Bench.EventStores;

/// <summary>What a hold and a shipment cost by the number of the SKU's open orders. One caller, one call at a time, the SKUs in turns.</summary>
internal static class StockBench
{
    private const int OrdersAtOnce = 256;
    private const int Few = 10;

    // So that the stream with few open orders has pages, too, and both have tips that single appends have made.
    private const int OrdersBefore = 1_000;
    private const int WarmUp = 100;

    private static readonly Option<int> Open = new("--open") { Description = "Open orders of the SKU that has many", DefaultValueFactory = _ => 1_000_000 };

    private static readonly Option<int> Orders = new("--orders") { Description = "Orders measured at each SKU", DefaultValueFactory = _ => 1_000 };

    public static Command Create()
    {
        var command = new Command("stock", "Cost of a hold and of a shipment with 10 and with 1,000,000 open orders of the SKU") { Open, Orders, BenchSidecars.State };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            Report.Machine();
            await using var sidecars = await BenchSidecars.StartAsync(parsed.GetValue(BenchSidecars.State), cancellationToken);
            await using var running = await sidecars.StartStoreAsync(groupCommit: true, cancellationToken);
            await MeasureAsync(running.Store, parsed.GetValue(Open), parsed.GetValue(Orders), cancellationToken);
            await running.StopAsync(cancellationToken);
        });
        return command;
    }

    private static async Task MeasureAsync(EventStore store, int open, int orders, CancellationToken cancellationToken)
    {
        Sku[] skus = [new(store, "few"), new(store, "many")];
        var started = Stopwatch.GetTimestamp();
        foreach (var sku in skus)
            await sku.ReceiveAsync(cancellationToken);
        await skus[0].HoldAsync(OrdersBefore + Few, cancellationToken);
        await skus[0].ShipOldestAsync(OrdersBefore, cancellationToken);
        await skus[1].HoldAsync(open, cancellationToken);
        Report.Line($"{open + OrdersBefore + Few:N0} orders held in {Stopwatch.GetElapsedTime(started).TotalSeconds:N0} s, {OrdersAtOnce} in one call.");

        for (var order = -WarmUp; order < orders; order++)
        {
            foreach (var sku in order % 2 == 0 ? skus : skus.Reverse())
            {
                var (hold, ship) = (await sku.HoldAsync(1, cancellationToken), await sku.ShipOldestAsync(1, cancellationToken));
                if (order >= 0)
                {
                    sku.Holds.Add(hold);
                    sku.Shipments.Add(ship);
                }
            }
        }

        Report.Line("A hold for a new order, and the shipment of the oldest one that is open, ms; a page is moved by every 32nd append.");
        Report.Table(
            ["open orders", "hold p50", "hold mean", "p50 : few", "shipment p50", "shipment mean", "p50 : few"],
            skus.Select(sku => new[]
            {
                $"{sku.OpenOrders:N0}",
                Report.Figure(sku.Holds.Median),
                Report.Figure(sku.Holds.Mean),
                Report.Ratio(sku.Holds.Median, skus[0].Holds.Median),
                Report.Figure(sku.Shipments.Median),
                Report.Figure(sku.Shipments.Mean),
                Report.Ratio(sku.Shipments.Median, skus[0].Shipments.Median),
            }));
    }

    private sealed class Sku(EventStore store, string name)
    {
        private long _held;
        private long _shipped;

        public long OpenOrders => _held - _shipped;

        public Samples Holds { get; } = new();

        public Samples Shipments { get; } = new();

        public Task ReceiveAsync(CancellationToken cancellationToken) => ApplyAsync([new StockCommand.Receive("r", int.MaxValue)], cancellationToken);

        public Task<double> HoldAsync(int orders, CancellationToken cancellationToken) =>
            TimeAsync(orders, () => new StockCommand.Hold(OrderId(_held++), 1), cancellationToken);

        public Task<double> ShipOldestAsync(int orders, CancellationToken cancellationToken) =>
            TimeAsync(orders, () => new StockCommand.Ship(OrderId(_shipped++)), cancellationToken);

        private static string OrderId(long number) => $"{number:x32}";

        /// <summary>Milliseconds.</summary>
        private async Task<double> TimeAsync(int orders, Func<StockCommand> command, CancellationToken cancellationToken)
        {
            var started = Stopwatch.GetTimestamp();
            for (var done = 0; done < orders; done += OrdersAtOnce)
                await ApplyAsync([.. Enumerable.Range(0, Math.Min(OrdersAtOnce, orders - done)).Select(_ => command())], cancellationToken);

            return Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }

        private async Task ApplyAsync(StockCommand[] commands, CancellationToken cancellationToken)
        {
            if ((await StockItems.ApplyAsync(store, name, commands, cancellationToken)).FirstOrDefault(answer => !answer.Done) is { } refused)
                throw new InvalidOperationException($"The stock of {name} refused what it must do: {refused}.");
        }
    }
}
