using System.CommandLine;
using System.Diagnostics;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <summary>What an order costs, in calls and deliveries: read from the sidecars' metrics, on the embedded sidecar and on a real Dapr alike.</summary>
internal static class CallsCommand
{
    private const string Sku = "bench-calls";

    private static readonly TimeSpan Rest = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan ShippedWithin = TimeSpan.FromMinutes(5);

    private static readonly Option<string> Host = new("--host") { Description = "Where services and sidecars listen", DefaultValueFactory = _ => "localhost" };
    private static readonly Option<int> Orders = new("--orders") { Description = "Orders placed one at a time", DefaultValueFactory = _ => 50 };
    private static readonly Option<int> AtOnce = new("--at-once") { Description = "Orders placed at once", DefaultValueFactory = _ => 500 };

    public static Command Create()
    {
        var command = new Command("calls", "Counts what an order of a running system costs, by the ports of dapr.yaml: one order at a time, and many at once") { Host, Orders, AtOnce };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            Uri On(int port) => new($"http://{parsed.GetValue(Host)}:{port}");
            Uri[] metrics = [On(4701), On(4702), On(4703), On(4704), On(4705)];
            using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false, MaxConnectionsPerServer = 64 }) { Timeout = TimeSpan.FromSeconds(60) };
            using var system = OrdersSystem.At(parsed.GetValue(Host)!);
            await system.OfferAsync([Sku], cancellationToken);

            await PlaceAsync(20, together: false);
            var before = await CountAsync();
            await Task.Delay(Rest, cancellationToken);
            var idle = (await CountAsync()).Since(before);
            await MeasureAsync(parsed.GetValue(Orders), together: false);
            await MeasureAsync(parsed.GetValue(AtOnce), together: true);

            async Task MeasureAsync(int orders, bool together)
            {
                var (start, clock) = (await CountAsync(), Stopwatch.StartNew());
                await PlaceAsync(orders, together);
                var cost = (await CountAsync()).Since(start, idle, clock.Elapsed / Rest);
                Report.Line($"{orders} orders, {(together ? "at once" : "one at a time")}, what comes of itself taken off:");
                Console.WriteLine(cost.Table(orders));
                Report.Line();
            }

            async Task PlaceAsync(int orders, bool together)
            {
                var summary = await system.SummaryAsync(cancellationToken) ?? throw new InvalidOperationException("Reporting does not answer at its port of dapr.yaml.");
                if (together)
                {
                    await Task.WhenAll(Enumerable.Range(0, orders).Select(_ => PostAsync()));
                }
                else
                {
                    for (var order = 0; order < orders; order++)
                    {
                        var published = await PublishedAsync();
                        await PostAsync();
                        while (await PublishedAsync() < published + CallCounts.EventsOfAnOrder)
                            await Task.Delay(Poll, cancellationToken);
                    }
                }

                var last = (await system.UntilFinalAsync(summary.Final + orders, ShippedWithin, cancellationToken)).Last;
                if (last.Final < summary.Final + orders)
                    throw new InvalidOperationException($"Of {orders} orders {last.Final - summary.Final} came to their end within {ShippedWithin}.");
            }

            async Task PostAsync()
            {
                using var answer = await http.PostAsJsonAsync(
                    new Uri(system.Ordering, "orders"),
                    new { customerId = "c-1", paymentMethod = "pm_card_ok", lines = new[] { new { sku = Sku, quantity = 1 } } },
                    cancellationToken);
                answer.EnsureSuccessStatusCode();
            }

            // To ask Ordering for the order would be a call more.
            async Task<double> PublishedAsync() => (await CallCounts.ReadAsync(http, [metrics[0]], cancellationToken)).EventsPublished;

            Task<CallCounts> CountAsync() => CallCounts.ReadAsync(http, metrics, cancellationToken);
        });
        return command;
    }
}
