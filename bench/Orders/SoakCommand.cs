using System.CommandLine;
using System.Globalization;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <summary>As many orders as are answered, for long: whether the rate and the memory of the processes stay what they were.</summary>
internal static class SoakCommand
{
    private const double Megabyte = 1024 * 1024;

    private static readonly TimeSpan EchoTime = TimeSpan.FromSeconds(3);

    private static readonly Option<double> Minutes = new("--minutes") { Description = "It ends after these", DefaultValueFactory = _ => 20 };
    private static readonly Option<long> Orders = new("--orders") { Description = "It ends when so many are accepted", DefaultValueFactory = _ => 1_000_000 };
    private static readonly Option<int> Parts = new("--parts") { Description = "How many times it is looked at", DefaultValueFactory = _ => 10 };
    private static readonly Option<DirectoryInfo> Data = new("--data") { Description = "What the system keeps, for its size", DefaultValueFactory = _ => new DirectoryInfo("data") };

    public static Command Create()
    {
        var command = new Command("soak", "Drives POST /orders for long: rate, memory and file sizes from part to part") { LoadOptions.Host, Minutes, Orders, Parts, LoadOptions.Skus, Data, AuditBehind.Wanted };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            string[] skus = LoadOptions.SkuNames(parsed.GetValue(LoadOptions.Skus));
            using var system = OrdersSystem.At(parsed.GetValue(LoadOptions.Host)!);
            using var load = new LoadGenerator(LoadOptions.Callers, skus);
            using var echo = await EchoProcess.StartAsync(cancellationToken);
            var flow = new Flow(system, load, TimeSpan.FromMinutes(5));
            var time = TimeSpan.FromMinutes(parsed.GetValue(Minutes) / parsed.GetValue(Parts));

            Report.Machine();
            await system.OfferAsync(skus, cancellationToken);
            await load.RunAsync(echo.Address, EchoTime, null, cancellationToken);
            var placed = new List<Placed>();
            var (rows, accepted, names) = (new List<string[]>(), 0L, Array.Empty<string>());
            for (var part = 1; part <= parsed.GetValue(Parts) && accepted < parsed.GetValue(Orders); part++)
            {
                var echoed = (await load.RunAsync(echo.Address, EchoTime, null, cancellationToken)).PerSecond;
                var run = await flow.RunAsync(time, null, open: 0, cancellationToken);
                accepted += run.Load.Accepted;
                placed.AddRange(run.Load.Sample);
                names = [.. run.Costs.Names.Where(name => name is not ("load generator" or "bare echo"))];
                rows.Add([
                    $"{accepted:N0}", Report.Figure(run.ShippedPerSecond), (run.ShippedPerSecond / echoed).ToString("0.000", CultureInfo.InvariantCulture),
                    Report.Figure(run.Costs.Processor.TotalMilliseconds / run.Load.Accepted), Report.Figure(SizeOf(parsed.GetValue(Data)!) / Megabyte),
                    .. names.Select(name => Report.Figure(run.Costs.MemoryOf(name) / Megabyte)),
                ]);
            }

            Report.Line("Memory is the working set of each process, MB, when all that was accepted had ended.");
            Report.Table(["accepted", "shipped/s", ": echo", "CPU ms", "data MB", .. names], rows);
            return await AuditBehind.RunAsync(parsed, parsed.GetValue(LoadOptions.Host)!, placed, cancellationToken);
        });
        return command;
    }

    private static long SizeOf(DirectoryInfo folder) => folder.Exists ? folder.EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length) : 0;
}
