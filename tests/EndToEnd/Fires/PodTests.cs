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
        ServerProgram.Require(Missing ?? (OtherClock is null ? "a process gets another clock by libfaketime, which is not installed (Debian: faketime)" : null));
        await using var pods = await Pods.StartAsync(replicas: 2, environmentOfOdd: new Dictionary<string, string>
        {
            ["LD_PRELOAD"] = OtherClock!,
            ["FAKETIME"] = "+7m",
            ["FAKETIME_DONT_FAKE_MONOTONIC"] = "1",
        });
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
