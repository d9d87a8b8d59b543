using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.State;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DaprOrders.Tests;

/// <summary>
/// A service on a state store in memory, without a sidecar: topics are delivered over HTTP as a sidecar does, and what the service
/// publishes is kept.
/// </summary>
public sealed class ServiceHost<TProgram> : WebApplicationFactory<TProgram>, IEventPublisher, IPublisherStreams
    where TProgram : class
{
    private readonly Action<IServiceCollection> _configure;
    private readonly IEnumerable<KeyValuePair<string, string>> _settings;
    private readonly ConcurrentDictionary<string, OrderStream> _orders = new();
    private int _fetches;

    public ServiceHost(Action<IServiceCollection>? configure = null, IEnumerable<KeyValuePair<string, string>>? settings = null, MemoryState? state = null)
    {
        _configure = configure ?? (_ => { });
        _settings = settings ?? [];
        State = state ?? new MemoryState();
    }

    /// <summary>Outlives the host: a second one on it is the service after a restart.</summary>
    public MemoryState State { get; }

    /// <summary>The documents beside the streams; replicas of one service have them in common.</summary>
    internal StateInMemory Documents { get; init; } = new();

    public ConcurrentQueue<RecordedEvent> Published { get; } = new();

    /// <summary>Whether Ordering answers nobody.</summary>
    public bool OrderingIsAway { get; set; }

    /// <summary>How often the service asked Ordering for events that it had missed.</summary>
    public int Fetches => _fetches;

    public HttpClient Client => field ??= CreateClient();

    public EventStore Store => Services.GetRequiredService<EventStore>();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Delivers the newest event of the order, or those of these versions, and answers each status.</summary>
    public Task<IReadOnlyList<string>> DeliverAsync(OrderStream order, params int[] versions) =>
        DeliverAsync(versions.Length == 0 ? [(order, order.Recorded.Count)] : [.. versions.Select(version => (order, version))]);

    /// <summary>Ordering has the order; nothing of it is delivered yet.</summary>
    public void Knows(OrderStream order) => _orders[$"order-{order.OrderId}"] = order;

    /// <summary>One bulk delivery.</summary>
    public async Task<IReadOnlyList<string>> DeliverAsync(IReadOnlyList<(OrderStream Order, int Version)> entries)
    {
        foreach (var (order, _) in entries)
        {
            Knows(order);
        }

        using var answer = await Client.PostAsJsonAsync("/events/orders", OrderStream.BulkDelivery(entries), Cancellation);
        answer.EnsureSuccessStatusCode();
        return OrderStream.StatusesOf(await answer.Content.ReadFromJsonAsync<JsonElement>(Cancellation));
    }

    public async Task<(int Status, JsonElement Body)> GetAsync(string path) => await ReadAsync(await Client.GetAsync(path, Cancellation));

    public Task<(int Status, JsonElement Body)> PostAsync(string path, object? body = null, string? idempotencyKey = null) =>
        SendAsync(HttpMethod.Post, path, body is null ? null : JsonContent.Create(body), idempotencyKey);

    public async Task<(int Status, JsonElement Body)> SendAsync(HttpMethod method, string path, HttpContent? content, string? idempotencyKey = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        if (idempotencyKey is not null)
        {
            request.Headers.Add("Idempotency-Key", idempotencyKey);
        }

        return await ReadAsync(await Client.SendAsync(request, Cancellation));
    }

    /// <summary>The types of the events that a stream holds.</summary>
    public async Task<IReadOnlyList<string>> EventsOfAsync(string stream) =>
        [.. (await Store.ReadStreamAsync(stream, 0, 1000, Cancellation)).Select(recorded => recorded.Type)];

    Task IEventPublisher.PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken)
    {
        foreach (var recorded in events)
        {
            Published.Enqueue(recorded);
        }

        return Task.CompletedTask;
    }

    Task<IReadOnlyList<RecordedEvent>> IPublisherStreams.ReadAsync(string publisher, string stream, long after, int limit, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _fetches);
        return OrderingIsAway
            ? Task.FromException<IReadOnlyList<RecordedEvent>>(new HttpRequestException("Ordering is away."))
            : Task.FromResult<IReadOnlyList<RecordedEvent>>(
                _orders.TryGetValue(stream, out var order) ? [.. order.Recorded.Where(recorded => recorded.Version > after).Take(limit)] : []);
    }

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        // In development the secrets of whoever runs the tests would be read, and with them their signing keys.
        builder.UseEnvironment(Environments.Production);
        builder.UseSetting("Serilog:MinimumLevel:Default", "Fatal");
        foreach (var (name, value) in _settings)
        {
            builder.UseSetting(name, value);
        }

        builder.ConfigureServices(services =>
        {
            services.AddSingleton(Documents.Client);
            services.AddSingleton<IBulkStateReads>(Documents);
            services.AddSingleton<IStateApi>(State);
            services.AddSingleton<IEventPublisher>(this);
            services.AddSingleton<IPublisherStreams>(this);
            services.AddSingleton<IPublisherLogs>(new EmptyLogs());
            _configure(services);
        });
    }

    private static async Task<(int Status, JsonElement Body)> ReadAsync(HttpResponseMessage answer)
    {
        using (answer)
        {
            var text = await answer.Content.ReadAsStringAsync(Cancellation);
            return ((int)answer.StatusCode, text.Length == 0 ? default : JsonElement.Parse(text));
        }
    }
}

/// <summary>Waiting for a condition, not for a time.</summary>
public static class Eventually
{
    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    public static async Task IsAsync(Func<Task<bool>> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(Limit);
        using var ticks = new PeriodicTimer(Pause);
        while (!await condition())
        {
            await ticks.WaitForNextTickAsync(limit.Token);
        }
    }

    /// <summary>Reads the problem's code, <c>urn:daprorders:{code}</c>.</summary>
    public static string Code(this JsonElement problem) => problem.GetProperty("type").GetString()!.Replace("urn:daprorders:", "", StringComparison.Ordinal);
}
