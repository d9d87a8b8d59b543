using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.State;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Health;
using DaprOrders.ServiceDefaults.Topology;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Time.Testing;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace DaprOrders.ServiceDefaults.Tests;

public abstract record LetterEvent(string Id);

public sealed record LetterSent(string Id, string To) : LetterEvent(Id);

public sealed record ParcelSent(string Id, IReadOnlyList<string> Lines) : LetterEvent(Id);

/// <summary>A service with nothing but the defaults, on a free port.</summary>
internal sealed class ServiceHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ServiceHost(
        WebApplication app, StateInMemory state, SidecarMetadata sidecar, PublisherLog publisher, FakeTimeProvider time, IReadOnlyCollection<string> log)
    {
        (_app, State, Sidecar, Publisher, Time, Log) = (app, state, sidecar, publisher, time, log);
        Http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
    }

    public HttpClient Http { get; }

    public StateInMemory State { get; }

    public SidecarMetadata Sidecar { get; }

    /// <summary>What the publisher of the topics has committed.</summary>
    public PublisherLog Publisher { get; }

    public FakeTimeProvider Time { get; }

    /// <summary>What was logged from warnings on.</summary>
    public IReadOnlyCollection<string> Log { get; }

    public IServiceProvider Services => _app.Services;

    public static Task<ServiceHost> StartAsync(Action<WebApplication> map, params (string Key, string Value)[] settings) =>
        StartAsync(new StateInMemory(), map, settings);

    /// <summary>A host on state that another one has written, or writes.</summary>
    public static async Task<ServiceHost> StartAsync(StateInMemory state, Action<WebApplication> map, params (string Key, string Value)[] settings)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = Environments.Production });
        builder.Configuration["APP_PORT"] = "0";
        foreach (var (key, value) in settings)
            builder.Configuration[key] = value;

        var (sidecar, publisher, log) = (new SidecarMetadata(), new PublisherLog(), new LoggedLines());
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
        builder.AddServiceDefaults("letters");
        builder.Services.AddSerilog(logging => logging.MinimumLevel.Warning().WriteTo.Sink(log), preserveStaticLogger: true);
        builder.Services.AddSingleton(state.Client);
        builder.Services.AddSingleton<IBulkStateReads>(state);
        builder.Services.AddSingleton<TimeProvider>(time);
        builder.Services.AddHttpClient(Readiness.SidecarClient).ConfigurePrimaryHttpMessageHandler(() => sidecar);
        builder.Services.AddHttpClient(TrafficEndpoint.MetricsClient).ConfigurePrimaryHttpMessageHandler(() => sidecar);
        builder.Services.AddSingleton(new EventTypes().AddFamily<LetterEvent>());
        builder.Services.AddSingleton<IPublisherLogs>(publisher);
        builder.Services.AddSingleton<PublisherLanes>();

        var app = builder.Build();
        app.MapServiceDefaults();
        map(app);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new ServiceHost(app, state, sidecar, publisher, time, log.Lines);
    }

    /// <summary>A CloudEvent as the relay makes it and daprd hands it on.</summary>
    public static Dictionary<string, object?> CloudEvent(string stream, long version, string topic = "letters") => new()
    {
        ["specversion"] = "1.0",
        ["id"] = $"{stream}:{version}",
        ["source"] = "post",
        ["type"] = nameof(LetterSent),
        ["subject"] = stream,
        ["time"] = "2026-01-02T03:04:05.0000001Z",
        ["datacontenttype"] = "application/json",
        ["stream"] = stream,
        ["streamversion"] = version,
        ["schemaversion"] = 1,
        ["correlationid"] = "4bf92f3577b34da6a3ce929d0e0e4736",
        ["causationid"] = "cause-1",
        ["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ["topic"] = topic,
        ["pubsubname"] = "pubsub",
        ["data"] = new { id = stream, to = "Ann" },
    };

    /// <summary>Delivers one CloudEvent; the status that is answered.</summary>
    public async Task<string?> DeliverAsync(string topic, object cloudEvent)
    {
        var response = await Http.PostAsJsonAsync($"/events/{topic}", cloudEvent, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (await JsonAsync(response)).GetProperty("status").GetString();
    }

    /// <summary>Delivers them as dead letters whose handler has refused them for good.</summary>
    public async Task DeliverDeadAsync(params object[] cloudEvents)
    {
        foreach (var cloudEvent in cloudEvents)
        {
            if (JsonSerializer.SerializeToElement(cloudEvent) is { ValueKind: JsonValueKind.Object } message && message.TryGetProperty("id", out var id))
                await Services.GetRequiredService<FailureLog>().RecordAsync(id.GetString()!, new InvalidOperationException("wrong"));
        }

        Assert.All(await DeliverManyAsync("dead-letters", cloudEvents), status => Assert.Equal("SUCCESS", status));
    }

    /// <summary>Delivers a bulk envelope; the status that is answered for each entry.</summary>
    public async Task<IReadOnlyList<string?>> DeliverManyAsync(string topic, params object?[] cloudEvents)
    {
        var envelope = new
        {
            id = "f3d6b2",
            type = "com.dapr.event.sent.bulk",
            topic,
            pubsubname = "pubsub",
            metadata = new { pubsubName = "pubsub" },
            entries = cloudEvents.Select((cloudEvent, i) =>
                new { entryId = $"e{i}", contentType = "application/cloudevents+json", @event = cloudEvent, metadata = (object?)null }),
        };
        var response = await Http.PostAsJsonAsync($"/events/{topic}", envelope, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var statuses = (await JsonAsync(response)).GetProperty("statuses").EnumerateArray().ToList();
        Assert.Equal(cloudEvents.Select((_, i) => $"e{i}"), statuses.Select(status => status.GetProperty("entryId").GetString()));
        return [.. statuses.Select(status => status.GetProperty("status").GetString())];
    }

    public async Task<JsonElement> GetAsync(string path, HttpStatusCode expected = HttpStatusCode.OK)
    {
        var response = await Http.GetAsync(path, TestContext.Current.CancellationToken);
        Assert.Equal(expected, response.StatusCode);
        return await JsonAsync(response);
    }

    /// <summary>Lets the clock run until it is so.</summary>
    public Task AdvanceUntilAsync(Func<bool> isSo) => AdvanceUntilAsync(() => Task.FromResult(isSo()));

    public async Task AdvanceUntilAsync(Func<Task<bool>> isSo)
    {
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!await isSo())
        {
            Time.Advance(TimeSpan.FromMilliseconds(500));
            await ticks.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    public static async Task<JsonElement> JsonAsync(HttpResponseMessage response) =>
        await response.Content.ReadFromJsonAsync<JsonElement>(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _app.DisposeAsync();
    }
}

internal sealed class LoggedLines : ILogEventSink
{
    public ConcurrentQueue<string> Lines { get; } = new();

    public void Emit(LogEvent logEvent) => Lines.Enqueue(logEvent.RenderMessage(CultureInfo.InvariantCulture));
}

/// <summary>Answers GET /v1.0/metadata as daprd does, with these subscriptions, and at its metrics' port.</summary>
internal sealed class SidecarMetadata : HttpMessageHandler
{
    public List<string> Subscribed { get; } = [];

    /// <summary>Null: nobody listens there.</summary>
    public string? Metrics { get; set; } = "";

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
        request.RequestUri!.AbsolutePath == "/metrics"
            ? Metrics is null ? throw new HttpRequestException("Connection refused") : Task.FromResult(new HttpResponseMessage { Content = new StringContent(Metrics) })
        : Task.FromResult(new HttpResponseMessage
        {
            Content = JsonContent.Create(new
            {
                id = "letters",
                subscriptions = Subscribed.Select(topic =>
                    new { pubsubname = "pubsub", topic, rules = new[] { new { path = $"/events/{topic}" } }, deadLetterTopic = "", type = "DECLARATIVE" }),
            }),
        });
}
