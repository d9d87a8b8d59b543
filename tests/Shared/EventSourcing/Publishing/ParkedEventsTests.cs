using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using DaprOrders.EventSourcing.Tests.Store;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.EventSourcing.Tests.Publishing;

/// <summary>An event that the broker refuses does not hold up those behind it; a broker that is away holds up all, and nothing is parked.</summary>
public sealed class ParkedEventsTests
{
    private const int TooLarge = 1_000_000;

    private static readonly EventStoreOptions Impatient = new() { PublishAttempts = 2 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Given_an_event_that_the_broker_refuses_then_it_is_parked_with_the_reason_and_the_lane_goes_on()
    {
        await using var calm = new CalmStore(Impatient, refusal: RefuseLarge);
        await calm.BookAsync("a", 1, TooLarge, 2);
        await calm.BookAsync("b", 3);

        await UntilAsync(() => calm.Store.ParkedCount == 1 && HasPublished(calm, "ledger-a:1", "ledger-a:3", "ledger-b:1"));

        var parked = Assert.Single(await calm.Store.ReadParkedAsync(Cancel));
        Assert.Equal(("ledger-a:2", "ledgers"), (parked.Id, parked.Topic));
        Assert.Equal(Assert.Single((await calm.Store.ReadLanesAsync(Cancel)).Lanes).Name, parked.Lane);
        Assert.Contains("message too large", parked.Reason, StringComparison.Ordinal);
        Assert.DoesNotContain(calm.Published, e => e.Id == parked.Id);

        await calm.BookAsync("c", 4);
        await UntilAsync(() => HasPublished(calm, "ledger-c:1"));
    }

    [Fact]
    public async Task Given_the_refused_event_is_the_first_ever_then_it_waits_until_another_shows_that_the_broker_works()
    {
        await using var calm = new CalmStore(Impatient, refusal: RefuseLarge);
        await calm.BookAsync("a", TooLarge);
        await UntilAsync(() => calm.PublishCalls > 4);
        Assert.Empty(await calm.Store.ReadParkedAsync(Cancel));

        await calm.BookAsync("b", 1);

        await UntilAsync(() => calm.Store.ParkedCount == 1 && HasPublished(calm, "ledger-b:1"));
    }

    [Fact]
    public async Task Given_a_broker_that_takes_nothing_then_nothing_is_parked_and_all_is_published_when_it_is_back()
    {
        await using var calm = new CalmStore(Impatient);
        await calm.BookAsync("a", 1);
        await UntilAsync(() => HasPublished(calm, "ledger-a:1"));
        calm.Refusal = _ => "away";
        await calm.BookAsync("b", 1, 2, 3);
        await UntilAsync(() => calm.PublishCalls > 12);

        Assert.Empty(await calm.Store.ReadParkedAsync(Cancel));
        calm.Refusal = _ => null;

        await UntilAsync(() => HasPublished(calm, "ledger-b:1", "ledger-b:2", "ledger-b:3"));
        Assert.Empty(await calm.Store.ReadParkedAsync(Cancel));
    }

    [Fact]
    public async Task Given_a_restart_before_it_was_parked_then_events_of_before_show_that_the_broker_works()
    {
        var former = new CalmStore(Impatient);
        await former.BookAsync("a", 1);
        await UntilAsync(() => HasPublished(former, "ledger-a:1"));
        former.Refusal = _ => "away";
        await former.BookAsync("b", TooLarge);
        await former.Store.StopAsync(new CancellationToken(canceled: true));

        await using var next = new CalmStore(Impatient, former, refusal: RefuseLarge);

        await UntilAsync(() => next.Store.ParkedCount == 1);
        Assert.Equal("ledger-b:1", Assert.Single(await next.Store.ReadParkedAsync(Cancel)).Id);
    }

    [Fact]
    public async Task Given_a_parked_event_then_every_instance_can_redrive_it_once_the_broker_takes_it()
    {
        await using var calm = new CalmStore(Impatient, refusal: RefuseLarge);
        await calm.BookAsync("a", 1, TooLarge);
        await UntilAsync(() => calm.Store.ParkedCount == 1);
        await using var other = new CalmStore(Impatient with { Instance = "other" }, calm, refusal: RefuseLarge);

        var refusal = await Assert.ThrowsAsync<EventStoreUnavailableException>(() => other.Store.RedriveParkedAsync("ledger-a:2", Cancel));
        Assert.Contains("message too large", refusal.Message, StringComparison.Ordinal);
        Assert.Single(await calm.Store.ReadParkedAsync(Cancel));

        other.Refusal = _ => null;
        Assert.True(await other.Store.RedriveParkedAsync("ledger-a:2", Cancel));

        Assert.True(HasPublished(other, "ledger-a:2"));
        Assert.Empty(await calm.Store.ReadParkedAsync(Cancel));
        Assert.False(await other.Store.RedriveParkedAsync("ledger-a:2", Cancel));
    }

    [Fact]
    public async Task Given_as_many_parked_events_as_may_be_then_the_next_one_is_not_parked_and_its_lane_waits()
    {
        await using var calm = new CalmStore(Impatient with { MaxParked = 1 }, refusal: RefuseLarge);
        await calm.BookAsync("a", 1, TooLarge);
        await UntilAsync(() => calm.Store.ParkedCount == 1);
        await calm.BookAsync("b", TooLarge);
        var calls = calm.PublishCalls;
        await UntilAsync(() => calm.PublishCalls > calls + 12);
        Assert.Equal("ledger-a:2", Assert.Single(await calm.Store.ReadParkedAsync(Cancel)).Id);

        Assert.True(await calm.Store.DiscardParkedAsync("ledger-a:2", Cancel));

        await UntilAsync(() => calm.Store.ParkedCount == 1);
        Assert.Equal("ledger-b:1", Assert.Single(await calm.Store.ReadParkedAsync(Cancel)).Id);
    }

    [Fact]
    public async Task Operators_read_redrive_and_discard_over_http_and_a_metric_counts()
    {
        var counts = new ConcurrentQueue<int>();
        var name = $"app-{Guid.NewGuid():N}";
        using var metrics = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Name == "eventstore.parked")
                {
                    listener.EnableMeasurementEvents(instrument);
                }
            },
        };
        metrics.SetMeasurementEventCallback<int>((_, count, tags, _) =>
        {
            if (tags.ToArray().Any(tag => tag.Value as string == name))
            {
                counts.Enqueue(count);
            }
        });
        metrics.Start();
        await using var calm = new CalmStore(Impatient with { AppId = name }, refusal: RefuseLarge);
        await using var app = await StartAsync(calm.Store);
        using var http = new HttpClient { BaseAddress = new Uri(app.Urls.First()) };
        await calm.BookAsync("a", 1, TooLarge, TooLarge);
        await UntilAsync(() => calm.Store.ParkedCount == 2);
        Assert.Contains(2, counts);

        var parked = await http.GetFromJsonAsync<JsonElement>("/event-log/parked", Cancel);
        Assert.Equal(["ledger-a:2", "ledger-a:3"], parked.GetProperty("events").EnumerateArray().Select(e => e.GetProperty("id").GetString()));
        Assert.Equal("ledgers", parked.GetProperty("events")[0].GetProperty("topic").GetString());

        calm.Refusal = _ => null;
        Assert.Equal(HttpStatusCode.NoContent, (await http.PostAsync("/event-log/parked/ledger-a:2/redrive", null, Cancel)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await http.PostAsync("/event-log/parked/ledger-a:2/redrive", null, Cancel)).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await http.DeleteAsync("/event-log/parked/ledger-a%3A3", Cancel)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await http.DeleteAsync("/event-log/parked/ledger-a:3", Cancel)).StatusCode);
        Assert.Equal(0, calm.Store.ParkedCount);
        Assert.Equal(0, counts.Last());
    }

    private static string? RefuseLarge(RecordedEvent recorded) =>
        recorded.Data.GetProperty("amount").GetInt32() == TooLarge ? "message too large" : null;

    private static bool HasPublished(CalmStore calm, params string[] ids) => calm.Locked(() => ids.All(id => calm.Published.Exists(e => e.Id == id)));

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!condition())
        {
            await ticks.WaitForNextTickAsync(limit.Token);
        }
    }

    private static async Task<WebApplication> StartAsync(EventStore store)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Services.AddSingleton(store);
        var app = builder.Build();
        app.MapEventLog();
        await app.StartAsync(Cancel);
        return app;
    }
}
