using System.Net.Http.Json;
using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.ManagingProducts;
using DaprOrders.Tests;
using DaprOrders.Tests.Servers;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DaprOrders.Inventory.Tests;

/// <summary>The real Inventory over real HTTP in several replicas, each with an embedded sidecar, on one state store and one broker.</summary>
internal sealed class RunningInventory : IAsyncDisposable
{
    private const string Resources = """
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata: {name: statestore}
        spec: {type: state.in-memory, version: v1, metadata: [{name: actorStateStore, value: "true"}]}
        ---
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata: {name: pubsub}
        spec: {type: pubsub.in-memory, version: v1}
        """;

    private readonly EmbeddedDapr _dapr;
    private readonly List<Replica> _replicas = [];

    private RunningInventory(EmbeddedDapr dapr) => _dapr = dapr;

    public IReadOnlyList<HttpClient> Replicas => [.. _replicas.Select(replica => replica.Http)];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static async Task<RunningInventory> StartAsync(int replicas)
    {
        int[] ports = [.. Enumerable.Range(0, replicas).Select(_ => FreePort.Next())];
        var dapr = await EmbeddedDapr.StartAsync(
            new EmbeddedDaprOptions { Apps = [.. ports.Select(port => new SidecarOptions { AppId = "inventory", AppPort = port })], Resources = Resources },
            Cancellation);
        var running = new RunningInventory(dapr);
        foreach (var (port, sidecar) in ports.Zip(dapr.Sidecars))
            running._replicas.Add(new Replica(port, sidecar));

        await dapr.Ready.WaitAsync(Cancellation);
        foreach (var replica in running._replicas)
            await replica.Services.GetRequiredService<EventStore>().Ready.WaitAsync(Cancellation);
        return running;
    }

    public Task<JsonElement> GetAsync(string path) => AnswerAsync(() => Replicas[0].GetAsync(new Uri(path, UriKind.Relative), Cancellation));

    public Task SendAsync(HttpMethod method, string path, object body)
    {
        var key = Guid.NewGuid().ToString("N");
        return AnswerAsync(() => Replicas[0].SendAsync(
            new(method, path) { Content = JsonContent.Create(body), Headers = { { "Idempotency-Key", key } } }, Cancellation));
    }

    /// <summary>Delivers events until none of them is asked for again, as a broker does.</summary>
    public static async Task DeliverAsync(HttpClient replica, IReadOnlyList<(OrderStream Order, int Version)> events)
    {
        for (var open = events; open.Count > 0;)
        {
            var delivery = OrderStream.BulkDelivery(open);
            var statuses = OrderStream.StatusesOf(await AnswerAsync(() => replica.PostAsJsonAsync("/events/orders", delivery, Cancellation)));
            Assert.DoesNotContain("DROP", statuses);
            open = [.. open.Zip(statuses).Where(entry => entry.Second != "SUCCESS").Select(entry => entry.First)];
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var replica in _replicas)
            await replica.DisposeAsync();
        await _dapr.DisposeAsync();
    }

    private static async Task<JsonElement> AnswerAsync(Func<Task<HttpResponseMessage>> send)
    {
        using var answer = await Patience.SendAsync(send, Cancellation);
        answer.EnsureSuccessStatusCode();
        return await answer.Content.ReadFromJsonAsync<JsonElement>(Cancellation);
    }

    private sealed class Replica : WebApplicationFactory<Products>
    {
        private readonly int _port;
        private readonly SidecarHost _sidecar;

        public Replica(int port, SidecarHost sidecar)
        {
            (_port, _sidecar) = (port, sidecar);
            UseKestrel(port);
            StartServer();
            Http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        }

        public HttpClient Http { get; }

        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            // In development the secrets of whoever runs the tests would be read, and with them their signing keys.
            builder.UseEnvironment(Environments.Production);
            builder.UseSetting("Serilog:MinimumLevel:Default", "Fatal");
            builder.UseSetting("DAPR_HTTP_ENDPOINT", $"http://127.0.0.1:{_sidecar.HttpPort}");
            builder.UseSetting("DAPR_GRPC_ENDPOINT", $"http://127.0.0.1:{_sidecar.GrpcPort}");
            // Two replicas in one process: each needs a name of its own for its lane.
            builder.UseSetting("EventStore:Instance", $"replica-{_port}");
        }

        protected override void Dispose(bool disposing)
        {
            Http.Dispose();
            base.Dispose(disposing);
        }
    }
}
