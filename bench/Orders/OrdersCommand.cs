using System.CommandLine;
using System.CommandLine.Parsing;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

internal static class OrdersCommand
{
    private static readonly Option<Uri> OrderingUrl = new("--url") { Description = "Ordering", DefaultValueFactory = _ => new Uri("http://localhost:5101"), CustomParser = ReadUrl };
    private static readonly Option<Uri> InventoryUrl = new("--inventory") { Description = "Inventory", DefaultValueFactory = _ => new Uri("http://localhost:5102"), CustomParser = ReadUrl };
    private static readonly Option<Uri> ReportingUrl = new("--reporting") { Description = "Reporting", DefaultValueFactory = _ => new Uri("http://localhost:5105"), CustomParser = ReadUrl };
    private static readonly Option<int> Connections = new("--connections") { Description = "Callers, one connection each", DefaultValueFactory = _ => 64 };
    private static readonly Option<double> Seconds = new("--seconds") { Description = "Length of a round", DefaultValueFactory = _ => 10 };
    private static readonly Option<int> Rounds = new("--rounds") { Description = "Rounds, of which the median counts", DefaultValueFactory = _ => 3 };
    private static readonly Option<double?> Rate = new("--rate") { Description = "Orders per second; without it as many as are answered" };
    private static readonly Option<bool> Echo = new("--echo") { Description = "Measures the echo in turns with the system, and prints the ratio" };
    private static readonly Option<bool> NoSeed = new("--no-seed") { Description = "The products are there from an earlier run" };

    private static readonly Option<bool> UntilShipped = new("--until-shipped")
    {
        Description = "Follows the orders until they are shipped: how many a second, and how long one takes",
    };

    public static Command Create()
    {
        var command = new Command("orders", "Drives POST /orders of a running system")
        {
            OrderingUrl, InventoryUrl, ReportingUrl, Connections, Seconds, Rounds, LoadOptions.Skus, Rate, Echo, NoSeed, UntilShipped, AuditBehind.Wanted,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            Report.Machine();
            string[] skus = LoadOptions.SkuNames(parsed.GetValue(LoadOptions.Skus));
            using var system = new OrdersSystem(parsed.GetValue(OrderingUrl)!, parsed.GetValue(InventoryUrl)!, parsed.GetValue(ReportingUrl)!);
            using var load = new LoadGenerator(parsed.GetValue(Connections), skus);
            using var echo = parsed.GetValue(Echo) ? await EchoProcess.StartAsync(cancellationToken) : null;
            if (!parsed.GetValue(NoSeed))
                await system.OfferAsync(skus, cancellationToken);

            var run = new OrdersRun(system, load, echo?.Address, TimeSpan.FromSeconds(parsed.GetValue(Seconds)), parsed.GetValue(Rate));
            var accepted = await run.MeasureAsync(parsed.GetValue(Rounds), parsed.GetValue(UntilShipped), cancellationToken);
            return await AuditBehind.RunAsync(parsed, parsed.GetValue(OrderingUrl)!.Host, accepted, cancellationToken);
        });
        return command;
    }

    private static Uri? ReadUrl(ArgumentResult argument)
    {
        if (Uri.TryCreate(argument.Tokens[0].Value, UriKind.Absolute, out var url))
            return url;
        argument.AddError($"Expected a URL such as http://localhost:5101, got '{argument.Tokens[0].Value}'.");
        return null;
    }
}
