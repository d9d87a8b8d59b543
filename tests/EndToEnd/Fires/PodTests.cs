using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Nodes;
using DaprOrders.Tests.Servers;

namespace DaprOrders.EndToEnd.Tests.Fires;

/// <summary>Services and sidecars end as they do in a cluster: on request, in either order, one after the other, or for good.</summary>
[Collection(OneAtATime.Name)]
public sealed class PodTests
{
    private const int Stock = 1_000_000;
    private const int UnderWay = 8;
    private const int Orders = 20;

    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(2);

    private static readonly string? Missing = OperatingSystem.IsWindows() ? "no process is asked to end by SIGTERM on Windows" : null;

    [Theory(Explicit = true)]
    [InlineData(EndsFirst.Service, HttpStatusCode.Created)]
    [InlineData(EndsFirst.Sidecar, HttpStatusCode.ServiceUnavailable)]
    public async Task Given_orders_are_on_their_way_in_when_Ordering_is_asked_to_end_then_each_is_answered_and_counts_if_and_only_if_it_is_accepted(
        EndsFirst first, HttpStatusCode answered)
    {
        ServerProgram.Require(Missing);
        await using var pods = await Pods.StartAsync(replicas: 1);
        var sku = await pods.Shop.StockAsync(Stock);
        var ordering = pods.Of("ordering")[0];
        using var http = new HttpClient(new SocketsHttpHandler { Expect100ContinueTimeout = Timeout.InfiniteTimeSpan });
        var requests = Enumerable.Range(0, UnderWay).Select(_ => new OrderUnderWay(http, ordering, sku)).ToArray();
        await Task.WhenAll(requests.Select(request => request.IsBeingRead));

        if (first == EndsFirst.Sidecar)
            await pods.RemoveSidecarAsync(ordering);
        ordering.AskToEnd();
        await TakesNothingNewAsync(ordering);
        foreach (var request in requests)
            request.Go();

        var accepted = new List<string>();
        foreach (var request in requests)
        {
            using var answer = await request.Answer;
            var body = await Shop.ReadAsync(answer, answered);
            if (answered == HttpStatusCode.Created)
                accepted.Add(body["orderId"]!.GetValue<string>());
            else
                Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        }

        await pods.EndedAsync(ordering);
        if (first == EndsFirst.Service)
            await pods.RemoveSidecarAsync(ordering);
        await pods.AddAsync("ordering");
        await pods.AuditAsync(accepted, new Dictionary<string, int> { [sku] = Stock });
        Assert.Equal(accepted.Count, (await pods.Shop.GetAsync("reporting", "summary"))["orders"]!.GetValue<int>());
    }

    [Theory(Explicit = true)]
    [InlineData("local")]
    [InlineData("rabbitmq")]
    public async Task Given_two_replicas_when_every_one_is_replaced_under_load_then_nothing_is_lost_or_done_twice_and_lanes_do_not_pile_up(string components)
    {
        ServerProgram.Require(Missing);
        await using var servers = await FolderServers.StartAsync(components, TestContext.Current.CancellationToken);
        await using var pods = await Pods.StartAsync(await servers.InstallAsync(TestContext.Current.CancellationToken), replicas: 2);
        await pods.UnderLoadAsync(async () =>
        {
            foreach (var app in Shop.Apps)
            {
                // As a Deployment does: first the new one, then one of the old. Either may lose its sidecar first.
                foreach (var (pod, first) in pods.Of(app).Zip([EndsFirst.Service, EndsFirst.Sidecar]))
                {
                    await pods.AddAsync(app);
                    await pods.RemoveAsync(pod, first);
                }
            }
        });

        foreach (var app in Shop.Apps.Except(["reporting"]))
            await pods.LanesAreTakenOverAsync(app);
    }

    [Fact(Explicit = true)]
    public async Task Given_a_replica_of_every_service_dies_and_never_comes_back_then_another_ends_what_it_began()
    {
        ServerProgram.Require(Missing);
        await using var pods = await Pods.StartAsync(replicas: 2);
        await pods.UnderLoadAsync(async () =>
        {
            foreach (var app in Shop.Apps)
            {
                await pods.KillAsync(pods.Of(app)[0]);
                await pods.AddAsync(app);
            }
        });

        foreach (var app in Shop.Apps.Except(["reporting"]))
            await pods.LanesAreTakenOverAsync(app);
    }

    [Fact(Explicit = true)]
    public async Task Given_the_clocks_of_replicas_are_minutes_apart_then_nothing_is_lost_or_done_twice()
    {
        RequireOtherClock();
        await using var pods = await Pods.StartAsync(replicas: 2, environmentOfOdd: Ahead);
        foreach (var app in Shop.Apps)
        {
            var clocks = await Task.WhenAll(pods.Of(app).Select(ClockOfAsync));
            Assert.InRange(clocks[1] - clocks[0], TimeSpan.FromMinutes(6), TimeSpan.FromMinutes(8));
        }

        await pods.UnderLoadAsync(async () =>
        {
            await Fire.LastAsync(TimeSpan.FromSeconds(10));
            // Whose lanes are now watched by one whose clock is ahead, and the other way round.
            await pods.KillAsync(pods.Of("ordering")[0]);
            await pods.KillAsync(pods.Of("inventory")[1]);
            await Fire.LastAsync(TimeSpan.FromSeconds(10));
        });
    }

    /// <summary>docs/decisions.md, A deadline compares two clocks: they move it, and an order ends once all the same.</summary>
    [Fact(Explicit = true)]
    public async Task Given_clocks_that_are_further_apart_than_the_payment_deadline_then_an_order_is_cancelled_too_early_and_given_back_and_none_is_both_shipped_and_cancelled()
    {
        RequireOtherClock();
        await using var pods = await Pods.StartAsync(
            replicas: 2,
            environmentOfOdd: Ahead,
            environment: new Dictionary<string, string>
            {
                // Longer than anybody waits below: what is cancelled before was not overdue by the clock under which it was placed.
                ["Ordering__PaymentDeadline"] = $"{Deadline}",
                // What becomes of a charge that the provider does not answer is known no earlier.
                ["Payments__ProviderTimeout"] = "00:01:00",
            });
        var sku = await pods.Shop.StockAsync(Stock);

        var charged = "";
        var orders = await pods.UnderLoadAsync(async () =>
        {
            charged = await ChargedByOneWhoIsBehindAsync(pods, sku);
            // Now only the other looks, whose clock says that every order of this one is overdue.
            await pods.KillAsync(pods.Of("ordering")[0]);
            Assert.Equal("paymentTimeout", $"{(await pods.Shop.FinalAsync(charged))["cancellation"]?["reason"]}");
            await pods.AddAsync("ordering");
            await Fire.LastAsync(TimeSpan.FromSeconds(10));
        });

        var events = (await pods.Shop.GetAsync("ordering", $"orders/{charged}/events")).AsArray();
        Assert.Equal("OrderCancelled", $"{events[^1]!["type"]}");
        Assert.True(OccurredAt(events[^1]!) - OccurredAt(events[0]!) > Deadline, $"by no clock was it overdue: {events.ToJsonString()}");
        Assert.Equal("refunded", $"{(await pods.Shop.GetAsync("payments", $"payments/{charged}"))["status"]}");
        foreach (var order in orders.Append(charged))
        {
            using var answer = await pods.Shop.SendAsync(HttpMethod.Get, "shipping", $"shipments/{order}");
            var isDispatched = answer.StatusCode == HttpStatusCode.OK && Shop.Status(await Shop.ReadAsync(answer, HttpStatusCode.OK)) == "dispatched";
            Assert.Equal(isDispatched ? "shipped" : "cancelled", Shop.Status(await pods.Shop.OrderAsync(order)));
        }
    }

    [Fact(Explicit = true)]
    public async Task Given_clocks_that_are_minutes_apart_when_dead_letters_are_redriven_that_came_under_one_then_another_handles_each_once()
    {
        RequireOtherClock();
        // No log is to bring what the topic does.
        await using var pods = await Pods.StartAsync(replicas: 2, environmentOfOdd: Ahead, environment: new Dictionary<string, string> { ["CatchUp__Behind"] = "00:10:00" });
        var sku = await pods.Shop.StockAsync(Stock);
        // It has given up the key by which the others still sign.
        var before = pods.Of("inventory");
        var astray = new Dictionary<string, string> { ["EVENTS_SIGNING_KEY"] = pods.NextSigningKey };
        await pods.AddAsync("inventory", astray);
        await pods.AddAsync("inventory", new Dictionary<string, string>(astray.Concat(Ahead)));
        foreach (var pod in before)
            await pods.RemoveAsync(pod, EndsFirst.Service);
        var orders = new List<string>();
        for (var i = 0; i < Orders; i++)
            orders.Add(await pods.Shop.OrderAsync(sku, 1));
        var letters = await Until.Async(async () => await LettersAsync(pods, pods.Of("inventory")[0]), letters => letters.Count == Orders, "each order to be a dead letter");
        Assert.Equal(orders.Order(StringComparer.Ordinal).Select(order => $"order-{order}"), letters.Select(letter => $"{letter["stream"]}").Order(StringComparer.Ordinal));
        var clocks = letters.Select(letter => letter["receivedAt"]!.GetValue<DateTimeOffset>() > DateTimeOffset.UtcNow + TimeSpan.FromMinutes(1)).Distinct();
        Assert.Equal(2, clocks.Count());

        before = pods.Of("inventory");
        var behind = await pods.AddAsync("inventory");
        var ahead = await pods.AddAsync("inventory", Ahead);
        foreach (var pod in before)
            await pods.RemoveAsync(pod, EndsFirst.Service);
        using var begun = await pods.AskAsync(ahead, HttpMethod.Post, "dead-letters/redrive");
        var job = $"{(await Shop.ReadAsync(begun, HttpStatusCode.Accepted))["id"]}";
        // Whichever replica is asked, it tells of the same.
        var done = await Until.Async(
            async () =>
            {
                using var answer = await pods.AskAsync(behind, "dead-letters/redrive");
                return await Shop.ReadAsync(answer, HttpStatusCode.OK);
            },
            redrive => $"{redrive["status"]}" == "done", "the redrive to be done");

        Assert.Equal((job, Orders, 0), ($"{done["id"]}", (int)done["handled"]!, (int)done["failed"]!));
        foreach (var order in orders)
            Assert.Equal("shipped", Shop.Status(await pods.Shop.FinalAsync(order)));
        foreach (var pod in new[] { behind, ahead })
            Assert.Empty(await LettersAsync(pods, pod));
        await pods.AuditAsync(orders, new Dictionary<string, int> { [sku] = Stock });
    }

    private static void RequireOtherClock() =>
        ServerProgram.Require(Missing ?? (OtherClock is null ? "a process gets another clock by libfaketime, which is not installed (Debian: faketime)" : null));

    private static Dictionary<string, string> Ahead => new()
    {
        ["LD_PRELOAD"] = OtherClock!,
        ["FAKETIME"] = "+7m",
        ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
    };

    private static DateTimeOffset OccurredAt(JsonNode e) => e["occurredAt"]!.GetValue<DateTimeOffset>();

    /// <summary>An order that a replica took whose clock is not ahead, and whose charge the provider has made and not told.</summary>
    private static async Task<string> ChargedByOneWhoIsBehindAsync(Pods pods, string sku)
    {
        while (true)
        {
            var order = await pods.Shop.OrderAsync(sku, 1, "pm_timeout");
            var created = (await pods.Shop.GetAsync("ordering", $"orders/{order}/events"))[0]!;
            if (OccurredAt(created) > DateTimeOffset.UtcNow + TimeSpan.FromMinutes(1))
                continue;

            // One who is ahead may look at this lane already, and cancel it at once.
            var (isCharged, _) = await Until.Async(
                async () => ((await pods.Shop.LedgerAsync()).Any(entry => $"{entry["reference"]}" == order), Shop.IsFinal(await pods.Shop.OrderAsync(order))),
                seen => seen.Item1 || seen.Item2, "the order to be charged");
            if (isCharged)
                return order;
        }
    }

    private static async Task<IReadOnlyList<JsonNode>> LettersAsync(Pods pods, Pod pod)
    {
        using var answer = await pods.AskAsync(pod, "dead-letters?limit=500");
        return [.. (await Shop.ReadAsync(answer, HttpStatusCode.OK))["deadLetters"]!.AsArray().Select(letter => letter!)];
    }

    private static string? OtherClock => Directory.Exists("/usr/lib")
        ? Directory.EnumerateDirectories("/usr/lib").Select(folder => Path.Combine(folder, "faketime", "libfaketimeMT.so.1")).FirstOrDefault(File.Exists)
        : null;

    private static async Task<DateTimeOffset> ClockOfAsync(Pod pod)
    {
        using var http = new HttpClient();
        using var answer = await http.GetAsync($"{pod.Address}/healthz/live", TestContext.Current.CancellationToken);
        return answer.Headers.Date!.Value;
    }

    private static async Task TakesNothingNewAsync(Pod pod)
    {
        using var http = new HttpClient();
        await Until.TrueAsync(
            async () =>
            {
                try
                {
                    using var request = new HttpRequestMessage(HttpMethod.Get, $"{pod.Address}/healthz/live") { Headers = { ConnectionClose = true } };
                    using var answer = await http.SendAsync(request, TestContext.Current.CancellationToken);
                    return false;
                }
                catch (HttpRequestException)
                {
                    return true;
                }
            },
            TimeSpan.FromSeconds(20),
            () => $"{pod.Name} still takes new requests:{Environment.NewLine}{pod.Output}");
    }

    /// <summary>A POST of an order whose body the service is reading, as it has said by 100 Continue.</summary>
    private sealed class OrderUnderWay : HttpContent
    {
        private readonly TaskCompletionSource _isBeingRead = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly TaskCompletionSource _go = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly byte[] _body;

        public OrderUnderWay(HttpClient http, Pod ordering, string sku)
        {
            _body = JsonSerializer.SerializeToUtf8Bytes(new JsonObject
            {
                ["customerId"] = "c-1",
                ["paymentMethod"] = "pm_card_ok",
                ["lines"] = new JsonArray(new JsonObject { ["sku"] = sku, ["quantity"] = 1 }),
            });
            Headers.ContentType = new MediaTypeHeaderValue("application/json");
            var request = new HttpRequestMessage(HttpMethod.Post, $"{ordering.Address}/orders") { Content = this };
            request.Headers.ExpectContinue = true;
            request.Headers.Add("Idempotency-Key", Guid.NewGuid().ToString());
            Answer = http.SendAsync(request, TestContext.Current.CancellationToken);
        }

        public Task IsBeingRead => _isBeingRead.Task;

        public Task<HttpResponseMessage> Answer { get; }

        public void Go() => _go.TrySetResult();

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            _isBeingRead.TrySetResult();
            await _go.Task;
            await stream.WriteAsync(_body, TestContext.Current.CancellationToken);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = _body.Length;
            return true;
        }
    }
}
