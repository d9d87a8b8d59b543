using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Tests.Running;
using DaprOrders.Tests.Servers;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

[assembly: AssemblyFixture(typeof(RunningOrdering))]

namespace DaprOrders.Ordering.Tests.Running;

/// <summary>The real Ordering over real HTTP, with an embedded sidecar and stand-ins for the services that it asks. One for the whole run.</summary>
public class RunningOrdering : IAsyncLifetime
{
    private readonly Factory _factory;
    private readonly string? _appToken;
    private readonly int _appPort = FreePort.Next();
    private readonly int _daprHttpPort = FreePort.Next();
    private readonly int _daprGrpcPort = FreePort.Next();
    private EmbeddedDapr? _dapr;

    public RunningOrdering()
        : this(paymentDeadline: TimeSpan.FromMinutes(15))
    {
    }

    /// <param name="appToken">What the sidecars send to their applications.</param>
    protected RunningOrdering(TimeSpan paymentDeadline, string? appToken = null, params (string Key, string Value)[] settings) =>
        (_factory, _appToken) = (new Factory(this, paymentDeadline, settings), appToken);

    public Neighbours Neighbours { get; } = new();

    /// <summary>What Ordering has published, in that order.</summary>
    public PublishedEvents Published { get; } = new();

    public HttpClient Client { get; private set; } = null!;

    /// <summary>Sees each call of Ordering's sidecar before it is made, and may hold it up.</summary>
    public Func<SidecarCall, Task> BeforeCall { private get; set; } = _ => Task.CompletedTask;

    public IServiceProvider Services => _factory.Services;

    public Uri Sidecar => new($"http://127.0.0.1:{_daprHttpPort}");

    public async ValueTask InitializeAsync()
    {
        await Neighbours.StartAsync();
        _dapr = await EmbeddedDapr.StartAsync(new EmbeddedDaprOptions
        {
            Apps =
            [
                new SidecarOptions { AppId = "ordering", AppPort = _appPort, HttpPort = _daprHttpPort, GrpcPort = _daprGrpcPort, AppApiToken = _appToken },
                new SidecarOptions { AppId = "inventory", AppPort = Neighbours.Port },
                new SidecarOptions { AppId = "payments", AppPort = Neighbours.Port },
                new SidecarOptions { AppId = "shipping", AppPort = Neighbours.Port },
            ],
            BeforeCall = async (call, _) => await BeforeCall(call),
            Resources = """
                apiVersion: dapr.io/v1alpha1
                kind: Component
                metadata: {name: statestore}
                spec: {type: state.in-memory, version: v1, metadata: [{name: actorStateStore, value: "true"}]}
                """,
        });
        _factory.UseKestrel(_appPort);
        _factory.StartServer();
        Client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{_appPort}") };
        await _dapr.Ready;
        await Services.GetRequiredService<EventStore>().Ready;
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _factory.DisposeAsync();
        await (_dapr?.DisposeAsync() ?? default);
        await Neighbours.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    public Task<HttpResponseMessage> PostAsync(string path, object body, params (string Name, string Value)[] headers) =>
        PostTextAsync(path, JsonSerializer.Serialize(body, JsonSerializerOptions.Web), headers);

    public Task<HttpResponseMessage> PostTextAsync(string path, string json, params (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(json, Encoding.UTF8, "application/json") };
        foreach (var (name, value) in headers)
            request.Headers.TryAddWithoutValidation(name, value);
        return Client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    public Task<HttpResponseMessage> GetAsync(string path) => Client.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);

    public async Task<JsonElement> GetJsonAsync(string path)
    {
        using var answer = await GetAsync(path);
        return await answer.JsonAsync();
    }

    /// <summary>Places an order that no other test knows; answers its id.</summary>
    public async Task<string> PlaceAsync()
    {
        using var answer = await PostAsync("/orders", ValidOrder());
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return (await answer.JsonAsync()).GetProperty("orderId").GetString()!;
    }

    public static object ValidOrder(string customerId = "c-42") =>
        new { customerId, paymentMethod = "pm_card_ok", lines = new[] { new { sku = "tea-001", quantity = 2 } } };

    /// <summary>Hands over an event as the sidecar does; answers Dapr's status word.</summary>
    public async Task<string> DeliverAsync(string topic, string publisher, string stream, long version, object payload)
    {
        var cloudEvent = new
        {
            specversion = "1.0",
            id = $"{stream}:{version}",
            source = publisher,
            type = payload.GetType().Name,
            time = DateTimeOffset.UnixEpoch,
            stream,
            streamversion = version,
            schemaversion = 1,
            data = JsonSerializer.SerializeToElement(payload, payload.GetType(), EventTypes.Json),
        };
        using var answer = await PostAsync($"/events/{topic}", cloudEvent);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        return (await answer.JsonAsync()).GetProperty("status").GetString()!;
    }

    public Task<string> DeliverAsync(ReservationEvent e, long version) => DeliverAsync("stock", "inventory", $"reservation-{e.OrderId}", version, e);

    public Task<string> DeliverAsync(PaymentEvent e, long version) => DeliverAsync("payments", "payments", $"payment-{e.OrderId}", version, e);

    public Task<string> DeliverAsync(ShipmentEvent e, long version) => DeliverAsync("shipments", "shipping", $"shipment-{e.OrderId}", version, e);

    /// <summary>An order that the other services have paid.</summary>
    public async Task<string> PlacePaidAsync()
    {
        var orderId = await PlaceAsync();
        Assert.Equal("SUCCESS", await DeliverAsync(new StockReserved(orderId, [new ReservedLine("tea-001", 2)]), 1));
        Assert.Equal("SUCCESS", await DeliverAsync(new PaymentRequested(orderId, new Money(19.00m, "EUR"), "pm_card_ok"), 1));
        Assert.Equal("SUCCESS", await DeliverAsync(new PaymentAuthorized(orderId, "ch-1", new Money(19.00m, "EUR")), 2));
        return orderId;
    }

    private sealed class Factory(RunningOrdering running, TimeSpan paymentDeadline, (string Key, string Value)[] settings) : WebApplicationFactory<OrderingOptions>
    {
        protected override void ConfigureWebHost(IWebHostBuilder builder)
        {
            // In development the secrets of whoever runs the tests would be read, and with them their signing keys.
            builder.UseEnvironment(Environments.Production);
            builder.UseSetting("DAPR_HTTP_ENDPOINT", $"http://127.0.0.1:{running._daprHttpPort}");
            builder.UseSetting("DAPR_GRPC_ENDPOINT", $"http://127.0.0.1:{running._daprGrpcPort}");
            foreach (var (key, value) in settings)
                builder.UseSetting(key, value);
            builder.UseSetting("Dapr:AppId", "ordering");
            builder.UseSetting("Ordering:PaymentDeadline", paymentDeadline.ToString());
            builder.UseSetting("Ordering:PriceAge", "00:00:00");
            builder.ConfigureTestServices(services => services.AddSingleton<IEventPublisher>(running.Published));
        }
    }
}

internal static class Answers
{
    public static Task<JsonElement> JsonAsync(this HttpResponseMessage answer) =>
        answer.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);
}
