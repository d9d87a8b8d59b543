using System.CommandLine;
using System.Diagnostics;
using System.Text.Json;
using DaprOrders.Bench.Measuring;
using DaprOrders.EventSourcing;

namespace DaprOrders.Bench.Orders;

/// <summary>How long the pages of the console take, over whatever orders the running system has.</summary>
internal static class PagesCommand
{
    private const int ConsolePort = 5106;
    private const int FirstOnes = 3;
    private const int LettersInCall = 100;

    private static readonly Option<int> Requests = new("--requests") { Description = $"Requests of each page, one at a time, after {FirstOnes} that do not count", DefaultValueFactory = _ => 21 };

    private static readonly Option<int> Letters = new("--letters")
    {
        Description = "So many messages that nobody can read are handed to Ordering's dead letters first, for the pages that list them; one is given up, for the page of an act. The others stay. A system without tokens takes them",
        DefaultValueFactory = _ => 0,
    };

    public static Command Create()
    {
        var command = new Command("pages", "Asks for every page of the console") { LoadOptions.Host, Requests, Letters };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var http = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            using var system = OrdersSystem.At(parsed.GetValue(LoadOptions.Host)!);
            var orders = (await system.SummaryAsync(cancellationToken) ?? throw new InvalidOperationException("Reporting does not answer at its port of dapr.yaml.")).Orders;
            var letters = parsed.GetValue(Letters);
            if (letters > 0)
                await MakeLettersAsync(letters);
            var rows = new List<string[]>();
            foreach (var path in (string[])["/", "/orders", "/orders?status=shipped", await NewestOrderAsync(), "/dead-letters", .. await OldestLetterAsync(), "/dead-letters/ordering/acts", .. await NewestActAsync(), "/stock", "/projections", "/topology", "/try-it"])
            {
                var page = new Uri($"http://{parsed.GetValue(LoadOptions.Host)}:{ConsolePort}{path}");
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
            Report.Line(letters > 0 ? $"{orders:N0} orders, {letters:N0} dead letters more than there were." : $"{orders:N0} orders.");
            Report.Table(["page", "median ms", "longest ms", "KB"], rows);

            // As a sidecar does with what no attempt could deliver: the events of one batch in one call.
            async Task MakeLettersAsync(int count)
            {
                var ordering = OrdersSystem.AddressOf(parsed.GetValue(LoadOptions.Host)!, "ordering");
                var ids = Enumerable.Range(0, count + 1).Select(_ => Guid.CreateVersion7().ToString("N")).ToList();
                foreach (var batch in ids.Chunk(LettersInCall))
                {
                    using var taken = await http.PostAsJsonAsync(
                        new Uri(ordering, "events/dead-letters"), new
                        {
                            id = Guid.NewGuid(),
                            type = "com.dapr.event.sent.bulk",
                            topic = "ordering-dead",
                            pubsubname = "pubsub",
                            entries = batch.Select((id, i) => new { entryId = $"{i}", contentType = "application/cloudevents+json", @event = Unreadable(id) }),
                        },
                        cancellationToken);
                    taken.EnsureSuccessStatusCode();
                }

                using var discarded = await http.PostAsJsonAsync(new Uri(ordering, $"dead-letters/{HashedId.Of(EventIdOf(ids[0]))}/discard"), new { reason = "for the measurement of pages" }, cancellationToken);
                discarded.EnsureSuccessStatusCode();
            }

            async Task<string?> FirstAsync(string app, string path, string list) => (await http.GetFromJsonAsync<JsonElement>(
                new Uri(OrdersSystem.AddressOf(parsed.GetValue(LoadOptions.Host)!, app), path), cancellationToken)).GetProperty(list).EnumerateArray().FirstOrDefault() is { ValueKind: JsonValueKind.Object } first
                ? first.GetProperty("id").GetString()
                : null;

            // A system without any has no such page.
            async Task<string[]> OldestLetterAsync()
            {
                foreach (var app in OrdersSystem.Apps)
                {
                    if (await FirstAsync(app, "dead-letters?limit=1", "deadLetters") is { } letter)
                        return [$"/dead-letters/{app}/{letter}"];
                }

                Report.Line("No dead letter, so its page is not asked for; --letters makes some.");
                return [];
            }

            async Task<string[]> NewestActAsync()
            {
                foreach (var app in OrdersSystem.Apps)
                {
                    if (await FirstAsync(app, "dead-letters/acts?limit=1", "acts") is { } act)
                        return [$"/dead-letters/{app}/acts/{act}"];
                }

                Report.Line("No act of an operator on record, so its page is not asked for; --letters makes one.");
                return [];
            }

            async Task<string> NewestOrderAsync()
            {
                var list = await http.GetFromJsonAsync<JsonElement>(new Uri(OrdersSystem.AddressOf(parsed.GetValue(LoadOptions.Host)!, "reporting"), "orders?limit=1"), cancellationToken);
                return $"/orders/{list.GetProperty("orders")[0].GetProperty("orderId")}";
            }
        });
        return command;
    }

    private static string EventIdOf(string id) => $"payment-{id}:2";

    /// <summary>A payment of an order, whose amount is a word.</summary>
    private static object Unreadable(string id) => new
    {
        specversion = "1.0",
        id = EventIdOf(id),
        source = "payments",
        type = "PaymentAuthorized",
        topic = "payments",
        pubsubname = "pubsub",
        time = DateTimeOffset.UtcNow,
        stream = $"payment-{id}",
        streamversion = "2",
        schemaversion = "1",
        data = new { orderId = id, chargeId = "ch-bench", amount = new { amount = "nothing", currency = "EUR" } },
    };
}
