using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Tests.Simulation;
using DaprOrders.ServiceDefaults;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DaprOrders.EventSourcing.Tests.Store;

/// <summary>A service whose store loses what it had: what its clients, its operators and the readers of its log are told.</summary>
public sealed class StoreWentBackTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Given_a_store_that_was_emptied_then_nothing_is_served_until_the_recovery_is_declared_and_readers_are_told_what_is_lost()
    {
        var store = new RestoredStore();
        await using var service = await StartAsync(store);
        using var http = new HttpClient { BaseAddress = new Uri(service.Urls.First()) };
        for (var i = 0; i < 5; i++)
            Assert.Equal(HttpStatusCode.Created, await StatusOf(http.PostAsync($"/ledgers/before-{i}", null, Cancel)));
        var lane = await UntilAsync(() => SettledLaneAsync(http), lane => lane.Settled >= 6);
        Assert.Equal("urn:daprorders:nothing-lost", await ProblemOf(http.PostAsync("/event-log/recovery", null, Cancel), HttpStatusCode.Conflict));

        store.GoBack(int.MaxValue);
        var log = await UntilAsync(() => http.GetFromJsonAsync<JsonElement>("/event-log", Cancel), log => log.GetProperty("loss").ValueKind == JsonValueKind.Object);

        var part = log.GetProperty("loss").GetProperty("parts").EnumerateArray().Single(part => part.GetProperty("lane").GetString() == lane.Name);
        Assert.True(part.GetProperty("to").GetInt64() >= lane.Settled);
        Assert.Equal("urn:daprorders:store-went-back", await ProblemOf(http.PostAsync("/ledgers/meanwhile", null, Cancel), HttpStatusCode.ServiceUnavailable));
        Assert.Equal("urn:daprorders:store-went-back", await ProblemOf(http.GetAsync("/ledgers/before-1", Cancel), HttpStatusCode.ServiceUnavailable));
        Assert.Contains("/event-log/recovery", await ReadinessAsync(http));
        Assert.Equal(HttpStatusCode.OK, await StatusOf(http.GetAsync("/healthz/live", Cancel)));

        Assert.Equal(HttpStatusCode.Accepted, await StatusOf(http.PostAsync("/event-log/recovery", null, Cancel)));
        log = await UntilAsync(() => http.GetFromJsonAsync<JsonElement>("/event-log", Cancel), log => log.GetProperty("loss").ValueKind == JsonValueKind.Null);

        Assert.Equal(HttpStatusCode.Created, await StatusOf(http.PostAsync("/ledgers/after", null, Cancel)));
        Assert.Null(await ReadinessAsync(http));
        var former = log.GetProperty("lanes").EnumerateArray().Single(one => one.GetProperty("name").GetString() == lane.Name);
        Assert.True(former.GetProperty("isClosed").GetBoolean());
        var page = await http.GetFromJsonAsync<JsonElement>($"/event-log/{lane.Name}?after=2", Cancel);
        Assert.Empty(page.GetProperty("events").EnumerateArray());
        Assert.Equal(former.GetProperty("settled").GetInt64(), page.GetProperty("next").GetInt64());
        Assert.Equal(1, Assert.Single(page.GetProperty("lost").EnumerateArray()).GetProperty("from").GetInt64());
        var entries = await http.GetFromJsonAsync<JsonElement>($"/event-log/{lane.Name}/entries?after=0", Cancel);
        Assert.Equal(1, Assert.Single(entries.GetProperty("lost").EnumerateArray()).GetProperty("from").GetInt64());
        var further = await http.GetFromJsonAsync<JsonElement>($"/event-log/{lane.Name}?after=1000", Cancel);
        Assert.Equal(1000, Assert.Single(further.GetProperty("lost").EnumerateArray()).GetProperty("to").GetInt64());
    }

    [Fact]
    public async Task Given_a_consumers_store_that_went_back_then_nothing_is_followed_until_the_recovery_and_then_what_was_handled_shortly_before_comes_again()
    {
        var (store, documents, handled, log) = (new RestoredStore(), new StateInMemory(), new ConcurrentQueue<string>(), new LogOfOneEvent());
        await using var service = await StartAsync(
            store,
            services => services
                .AddSingleton<IPublisherLogs>(log)
                .AddSingleton<IPublisherStreams>(log)
                .AddSingleton(documents.Client)
                .AddSingleton<IBulkStateReads>(documents)
                .Configure<CatchUpOptions>(options => options.Behind = TimeSpan.FromMilliseconds(20)),
            app => app.MapTopic("ledgers", "bank", (events, _) =>
            {
                foreach (var incoming in events)
                    handled.Enqueue(incoming.Recorded.Id);
                return Task.CompletedTask;
            }));
        using var http = new HttpClient { BaseAddress = new Uri(service.Urls.First()) };
        Assert.Equal(HttpStatusCode.Created, await StatusOf(http.PostAsync("/ledgers/own", null, Cancel)));
        await UntilAsync(() => Task.FromResult(handled.Count), count => count == 1);

        store.GoBack(int.MaxValue);
        await UntilAsync(() => ReadinessAsync(http), reason => reason is not null);
        Assert.Single(handled);
        await StatusOf(http.PostAsync("/event-log/recovery", null, Cancel));

        await UntilAsync(() => Task.FromResult(handled.Count), count => count == 2);
        Assert.Equal(["ledger-theirs:1", "ledger-theirs:1"], handled);
    }

    [Fact]
    public async Task A_reader_that_has_read_further_than_a_lane_reaches_is_told_so()
    {
        await using var service = await StartAsync(new RestoredStore());
        using var http = new HttpClient { BaseAddress = new Uri(service.Urls.First()) };
        Assert.Equal(HttpStatusCode.Created, await StatusOf(http.PostAsync("/ledgers/one", null, Cancel)));
        var lane = await SettledLaneAsync(http);

        Assert.Equal("urn:daprorders:position-ahead", await ProblemOf(http.GetAsync($"/event-log/{lane.Name}?after=1000", Cancel), HttpStatusCode.Conflict));
    }

    private static async Task<WebApplication> StartAsync(RestoredStore store, Action<IServiceCollection>? services = null, Action<WebApplication>? map = null)
    {
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = Environments.Production });
        foreach (var (setting, value) in new Dictionary<string, string>
        {
            ["APP_PORT"] = "0",
            ["EventStore:Lease"] = "00:00:01",
            ["Serilog:MinimumLevel:Default"] = "Fatal",
        })
        {
            builder.Configuration[setting] = value;
        }

        builder.AddServiceDefaults("ledgers");
        builder.Services.AddSingleton<IStateApi>(store);
        builder.Services.AddSingleton<IEventPublisher, Nowhere>();
        builder.Services.AddEventStore(types => types.AddFamily<LedgerEvent>());
        services?.Invoke(builder.Services);
        var app = builder.Build();
        app.MapServiceDefaults();
        app.MapEventLog();
        app.MapGet("/ledgers/{id}", async (string id, EventStore events, CancellationToken cancel) =>
            TypedResults.Ok((await events.LoadAsync(CalmStore.Category, id, cancel)).Version));
        app.MapPost("/ledgers/{id}", async (string id, EventStore events, CancellationToken cancel) =>
        {
            await events.HandleAsync(CalmStore.Category, id, _ => new Booked(1, id), new CommandContext(LikelyNew: true), cancel);
            return TypedResults.Created($"/ledgers/{id}");
        });
        map?.Invoke(app);
        await app.StartAsync(Cancel);
        return app;
    }

    private static async Task<T> UntilAsync<T>(Func<Task<T>> ask, Func<T, bool> isSo)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromMinutes(3));
        while (true)
        {
            var answer = await ask();
            if (isSo(answer))
                return answer;
            await Task.Delay(TimeSpan.FromMilliseconds(20), limit.Token);
        }
    }

    private static async Task<LogLane> SettledLaneAsync(HttpClient http)
    {
        var lanes = (await http.GetFromJsonAsync<JsonElement>("/event-log", Cancel)).GetProperty("lanes").EnumerateArray();
        return lanes.Select(lane => new LogLane(lane.GetProperty("name").GetString()!, lane.GetProperty("settled").GetInt64())).MaxBy(lane => lane.Settled)!;
    }

    private static async Task<HttpStatusCode> StatusOf(Task<HttpResponseMessage> request)
    {
        using var answer = await request;
        return answer.StatusCode;
    }

    private static async Task<string?> ProblemOf(Task<HttpResponseMessage> request, HttpStatusCode status)
    {
        using var answer = await request;
        Assert.Equal(status, answer.StatusCode);
        return (await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("type").GetString();
    }

    /// <summary>Null: the event store is healthy.</summary>
    private static async Task<string?> ReadinessAsync(HttpClient http)
    {
        using var answer = await http.GetAsync("/healthz/ready", Cancel);
        var check = (await answer.Content.ReadFromJsonAsync<JsonElement>(Cancel)).GetProperty("checks").GetProperty("event-store");
        return check.GetProperty("status").GetString() == "Healthy" ? null : check.GetProperty("reason").GetString();
    }

    private sealed class Nowhere : IEventPublisher
    {
        public Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private sealed class LogOfOneEvent : IPublisherLogs, IPublisherStreams
    {
        private const string Stream = "ledger-theirs";

        public Task<IReadOnlyList<RecordedEvent>> ReadAsync(string publisher, string stream, long after, int limit, CancellationToken cancellationToken) =>
            throw new NotSupportedException("Nothing is missing between two events.");

        public Task<IReadOnlyList<LogLane>> ReadLanesAsync(string publisher, CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<LogLane>>([new LogLane("0", 1)]);

        public Task<LogPage> ReadLaneAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
            throw new NotSupportedException("The catch-up reads entries.");

        public Task<LogEntries> ReadEntriesAsync(string publisher, string lane, long after, int limit, CancellationToken cancellationToken) =>
            Task.FromResult(new LogEntries(after == 0 ? [new LogEntry(Stream, 1, 1, "ledgers", 1)] : [], 1, 1));

        public Task<StreamEvents> ReadStreamsAsync(string publisher, IReadOnlyList<StreamRange> ranges, CancellationToken cancellationToken) => Task.FromResult(
            new StreamEvents([new RecordedEvent(Stream, 1, nameof(Booked), 1, DateTimeOffset.UnixEpoch, null, null, JsonSerializer.SerializeToElement(new { amount = 1, text = "theirs" }))], 1));
    }

    /// <summary>A store that can be made to lose its latest writes.</summary>
    private sealed class RestoredStore : IStateApi
    {
        private readonly SimulatedStore _store = new(StoreClass.Sqlite);

        public void GoBack(int writes) => Locked(() => _store.GoBack(writes));

        public Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken) => Task.FromResult(BatchWrites.Atomic);

        public Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) => Locked(() => _store.Get(key));

        public Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
            Locked<IReadOnlyList<StateValue?>>(() => [.. keys.Select(_store.Get)]);

        public Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken) => Locked(() => _store.TrySave(write));

        public Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) => Locked(() => _store.Transact(writes));

        private Task<T> Locked<T>(Func<T> effect)
        {
            lock (_store)
            {
                try
                {
                    return Task.FromResult(effect());
                }
                catch (StoreFault fault)
                {
                    return Task.FromException<T>(fault);
                }
            }
        }
    }
}
