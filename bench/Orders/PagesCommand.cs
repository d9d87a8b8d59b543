using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <summary>How long the pages of the console take, over whatever orders the running system has.</summary>
internal static class PagesCommand
{
    private const int ConsolePort = 5106;
    private const int FirstOnes = 3;

    private static readonly Option<string> Host = new("--host") { Description = "Where the console and Reporting listen, at their ports of dapr.yaml", DefaultValueFactory = _ => "localhost" };
    private static readonly Option<int> Requests = new("--requests") { Description = $"Requests of each page, one at a time, after {FirstOnes} that do not count", DefaultValueFactory = _ => 21 };

    public static Command Create()
    {
        var command = new Command("pages", "Asks for every page of the console") { Host, Requests };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            using var system = OrdersSystem.At(parsed.GetValue(Host)!);
            var orders = (await system.SummaryAsync(cancellationToken) ?? throw new InvalidOperationException("Reporting does not answer at its port of dapr.yaml.")).Orders;
            var rows = new List<string[]>();
            foreach (var path in (string[])["/", "/orders", "/orders?status=shipped", await NewestOrderAsync(), "/dead-letters", .. await OldestLetterAsync(), "/dead-letters/ordering/acts", "/stock", "/projections", "/topology", "/try-it"])
            {
                var page = new Uri($"http://{parsed.GetValue(Host)}:{ConsolePort}{path}");
                var (times, size) = (new Samples(), 0);
                for (var request = 0; request < FirstOnes + parsed.GetValue(Requests); request++)
                {
                    var clock = Stopwatch.GetTimestamp();
                    size = (await http.GetByteArrayAsync(page, cancellationToken)).Length;
                    if (request >= FirstOnes)
                        times.Add(Stopwatch.GetElapsedTime(clock).TotalMilliseconds);
                }

                rows.Add([path, Report.Figure(times.Median), Report.Figure(times.Percentile(1)), $"{size / 1024:N0}"]);
            }

            Report.Machine();
            Report.Line($"{orders:N0} orders.");
            Report.Table(["page", "median ms", "longest ms", "KB"], rows);

            // A system without any has no such page.
            async Task<string[]> OldestLetterAsync()
            {
                foreach (var (app, _) in OrdersSystem.Services)
                {
                    var list = await http.GetFromJsonAsync<JsonElement>(new Uri(OrdersSystem.AddressOf(parsed.GetValue(Host)!, app), "dead-letters?limit=1"), cancellationToken);
                    foreach (var letter in list.GetProperty("deadLetters").EnumerateArray())
                        return [$"/dead-letters/{app}/{letter.GetProperty("id").GetString()}"];
                }

                Report.Line("No dead letter, so its page is not asked for.");
                return [];
            }

            async Task<string> NewestOrderAsync()
            {
                var list = await http.GetFromJsonAsync<JsonElement>(new Uri(OrdersSystem.AddressOf(parsed.GetValue(Host)!, "reporting"), "orders?limit=1"), cancellationToken);
                return $"/orders/{list.GetProperty("orders")[0].GetProperty("orderId")}";
            }
        });
        return command;
    }
}
