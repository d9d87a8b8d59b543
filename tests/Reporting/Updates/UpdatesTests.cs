using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.Doubles;
using DaprOrders.Reporting.Updates;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace DaprOrders.Reporting.Tests.Updates;

public sealed class UpdatesTests
{
    private static readonly Money Total = new(19.00m, "EUR");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_client_is_told_what_becomes_of_orders_from_when_it_came()
    {
        await using var api = new ReportingApi();
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("before")));
        await using var updates = await EventStream.OpenAsync(api.Http, "/updates");

        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1")));
        var created = await updates.NextAsync();
        await api.DeliverAsync("orders", api.Journal.Commit("0", new OrderStockReserved("o1", "pm_card_ok", Total), new OrderPaid("o1", "ch-1")));

        Assert.Equal("order", created.EventType);
        Assert.Equal(
            """{"orderId":"o1","status":"created","customerId":"c-1","total":19.00,"currency":"EUR","version":1,"at":"2026-03-01T12:00:00+00:00"}""",
            created.Data.GetRawText());
        Assert.Equal(TimeSpan.FromSeconds(2), updates.Retry);
        Assert.Equal(["o1 stockReserved 2", "o1 paid 3"], await updates.NextAsync(2));
    }

    [Fact]
    public async Task The_answer_begins_at_once_with_where_to_go_on()
    {
        await using var api = new ReportingApi();
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1")));
        using var request = new HttpRequestMessage(HttpMethod.Get, "/updates");
        using var response = await api.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));

        Assert.Equal(": ok", await lines.ReadLineAsync(Cancellation));
        Assert.Equal("retry: 2000", await lines.ReadLineAsync(Cancellation));
        Assert.Equal("id: 0:1", await lines.ReadLineAsync(Cancellation));
        Assert.Equal("", await lines.ReadLineAsync(Cancellation));
    }

    [Fact]
    public async Task A_silent_stream_shows_that_it_is_there()
    {
        await using var api = new ReportingApi(settings: new Dictionary<string, string> { ["Reporting:HeartbeatEvery"] = "00:00:00.010" });
        using var response = await api.Http.SendAsync(new HttpRequestMessage(HttpMethod.Get, "/updates"), HttpCompletionOption.ResponseHeadersRead, Cancellation);
        using var lines = new StreamReader(await response.Content.ReadAsStreamAsync(Cancellation));

        for (var heartbeats = 0; heartbeats < 4;)
            heartbeats += await lines.ReadLineAsync(Cancellation) == ": ok" ? 1 : 0;
    }

    [Fact]
    public async Task A_client_goes_on_at_any_replica_after_any_event()
    {
        var (state, journal) = (new StateInMemory(), new Journal());
        journal.Commit("0", Journal.Created("before"));
        journal.Commit("1", new OrderCancelled("before", "customer", null));
        await using var one = new ReportingApi(state, journal);
        await using var other = new ReportingApi(state, journal);
        await one.DeliverAsync("orders", []);
        await using var updates = await EventStream.OpenAsync(one.Http, "/updates");
        var ids = new List<string> { "0:1,1:1" };
        string[] expected = ["o1 created 1", "o2 created 1", "o1 stockReserved 2", "o3 created 1", "o2 stockReserved 2", "o1 paid 3"];

        // Two orders in one batch, batches of two lanes.
        await one.DeliverAsync("orders", journal.Commit("0", Journal.Created("o1"), Journal.Created("o2")));
        journal.Now += TimeSpan.FromSeconds(1);
        await one.DeliverAsync("orders", journal.Commit("1", new OrderStockReserved("o1", "pm_card_ok", Total)));
        journal.Now += TimeSpan.FromSeconds(1);
        await one.DeliverAsync("orders", journal.Commit("0", Journal.Created("o3")));
        journal.Now += TimeSpan.FromSeconds(1);
        await one.DeliverAsync("orders", journal.Commit("1", new OrderStockReserved("o2", "pm_card_ok", Total)));
        journal.Now += TimeSpan.FromSeconds(1);
        await one.DeliverAsync("orders", journal.Commit("0", new OrderPaid("o1", "ch-1")));
        foreach (var update in expected)
        {
            Assert.Equal([update], await updates.NextAsync(1));
            ids.Add(updates.LastEventId);
        }

        foreach (var replica in new[] { one, other })
        {
            for (var i = ids.Count - 2; i >= 0; i--)
            {
                await using var again = await EventStream.OpenAsync(replica.Http, "/updates", ids[i]);
                Assert.Equal(expected[i..], await again.NextAsync(expected.Length - i));
            }
        }

        await using var byQuery = await EventStream.OpenAsync(other.Http, $"/updates?after={Uri.EscapeDataString(ids[2])}");
        Assert.Equal(expected[2..], await byQuery.NextAsync(4));
    }

    [Fact]
    public async Task Every_replica_tells_what_only_one_of_them_has_read()
    {
        var (state, journal) = (new StateInMemory(), new Journal());
        await using var reads = new ReportingApi(state, journal);
        // It looks into the logs once a day, and hears of nothing.
        await using var listens = new ReportingApi(state, journal, settings: new Dictionary<string, string>
        {
            ["Reporting:CheckEvery"] = "1.00:00:00",
            ["Reporting:UpdatesEvery"] = "00:00:00.010",
        });
        await using var updates = await EventStream.OpenAsync(listens.Http, "/updates");

        await reads.DeliverAsync("orders", journal.Commit("0", Journal.Created("o1")));

        Assert.Equal(["o1 created 1"], await updates.NextAsync(1));
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("0:5")]
    [InlineData("another:1")]
    public async Task A_position_that_was_never_given_is_answered_by_a_reset(string position)
    {
        await using var api = new ReportingApi();
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1")));

        await using var updates = await EventStream.OpenAsync(api.Http, "/updates", position);
        var reset = await updates.NextAsync();

        Assert.Equal(("reset", "0:1", "0:1"), (reset.EventType, reset.EventId, reset.Data.GetProperty("position").GetString()));
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o2")));
        Assert.Equal(["o2 created 1"], await updates.NextAsync(1));
    }

    [Fact]
    public async Task A_position_that_is_too_earlier_is_answered_by_a_reset()
    {
        await using var api = new ReportingApi(settings: new Dictionary<string, string> { ["Reporting:RecentUpdates"] = "3" });
        for (var i = 1; i <= 5; i++)
            await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created($"o{i}")));

        await using var recent = await EventStream.OpenAsync(api.Http, "/updates", "0:2");
        await using var earlier = await EventStream.OpenAsync(api.Http, "/updates", "0:1");

        Assert.Equal(["o3 created 1", "o4 created 1", "o5 created 1"], await recent.NextAsync(3));
        Assert.Equal("reset", (await earlier.NextAsync()).EventType);
    }

    [Fact]
    public async Task A_client_may_ask_for_one_status()
    {
        await using var api = new ReportingApi();
        await using var updates = await EventStream.OpenAsync(api.Http, "/updates?status=paid");

        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1"), new OrderStockReserved("o1", "pm_card_ok", Total)));
        await api.DeliverAsync("orders", api.Journal.Commit("0", new OrderPaid("o1", "ch-1")));

        Assert.Equal(["o1 paid 3"], await updates.NextAsync(1));
        var problem = await api.GetAsync("/updates?status=unpaid", HttpStatusCode.BadRequest);
        Assert.True(problem.GetProperty("errors").TryGetProperty("status", out _));
    }

    [Fact]
    public async Task A_slow_client_is_let_go_and_goes_on_where_it_was()
    {
        await using var api = new ReportingApi(settings: new Dictionary<string, string> { ["Reporting:UpdatesQueue"] = "2" });
        var feed = api.Services.GetRequiredService<UpdateFeed>();
        using var slow = await feed.SubscribeAsync(after: null, _ => true, Cancellation);
        await using var quick = await EventStream.OpenAsync(api.Http, "/updates");
        for (var i = 1; i <= 3; i++)
        {
            await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created($"o{i}")));
            await quick.NextAsync();
        }

        // It has not read anything: two were queued, the third was one too many.
        var dropped = new TaskCompletionSource();
        await using var registered = slow.Dropped.Register(dropped.SetResult);
        await dropped.Task.WaitAsync(Cancellation);
        Assert.Equal(1, feed.Clients);
        Assert.True(slow.Updates.TryRead(out var first));
        var position = UpdatePosition.Start.MovedTo(first!.Update.Lane, first.Update.Position).ToString();

        await using var again = await EventStream.OpenAsync(api.Http, "/updates", position);
        Assert.Equal(["o2 created 1", "o3 created 1"], await again.NextAsync(2));
    }

    [Fact]
    public async Task One_reading_serves_all_clients_and_without_a_client_nothing_is_read()
    {
        await using var api = new ReportingApi();
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1")));
        Assert.Equal(0, api.Journal.EntriesRead);
        var feed = api.Services.GetRequiredService<UpdateFeed>();
        var clients = new List<UpdateSubscription>();
        for (var i = 0; i < 1000; i++)
            clients.Add(await feed.SubscribeAsync(after: null, _ => true, Cancellation));

        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o2")));

        foreach (var client in clients)
            Assert.Equal("o2", (await client.Updates.ReadAsync(Cancellation))?.Update.View.OrderId);
        Assert.Equal(1, api.Journal.EntriesRead);

        // All of them come back to it at once, as after the end of another replica.
        foreach (var client in clients)
            client.Dispose();
        Assert.Equal(0, feed.Clients);
        var back = await Task.WhenAll(clients.Select(_ => feed.SubscribeAsync("0:1", _ => true, Cancellation)));
        Assert.All(back, client => Assert.True(client.Updates.TryRead(out var update) && update?.Update.View.OrderId == "o2"));
        Assert.Equal(2, api.Journal.EntriesRead);
    }

    [Fact]
    public async Task Streams_end_at_once_when_the_service_ends()
    {
        await using var api = new ReportingApi();
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1")));
        await using var all = await EventStream.OpenAsync(api.Http, "/updates");
        await using var one = await EventStream.OpenAsync(api.Http, "/orders/o1/updates");
        await one.NextAsync();

        api.Services.GetRequiredService<IHostApplicationLifetime>().StopApplication();

        await all.EndsAsync();
        await one.EndsAsync();
    }

    [Fact]
    public async Task A_store_that_is_away_is_503_and_one_that_comes_back_is_followed_again()
    {
        await using var api = new ReportingApi();
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1")));
        await using var updates = await EventStream.OpenAsync(api.Http, "/updates");

        api.State.IsDown = true;
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await api.Http.GetAsync("/orders/o1/updates", Cancellation)).StatusCode);
        api.Journal.Commit("0", Journal.Created("o2"));
        api.State.IsDown = false;

        Assert.Equal(["o2 created 1"], await updates.NextAsync(1));
        Assert.Equal(1, api.Services.GetRequiredService<UpdateFeed>().Clients);
    }

    [Fact]
    public async Task A_buyer_sees_how_the_order_is_and_what_becomes_of_it_until_it_is_shipped()
    {
        await using var api = new ReportingApi();
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1"), new OrderStockReserved("o1", "pm_card_ok", Total)));
        await using var updates = await EventStream.OpenAsync(api.Http, "/orders/o1/updates");
        Assert.Equal(["o1 stockReserved 2"], await updates.NextAsync(1));

        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o2"), new OrderPaid("o1", "ch-1")));
        await api.DeliverAsync("orders", api.Journal.Commit("0", new OrderShipped("o1", "T-1")));

        Assert.Equal(["o1 paid 3", "o1 shipped 4"], await updates.NextAsync(2));
        await updates.EndsAsync();
        Assert.Equal(0, api.Services.GetRequiredService<UpdateFeed>().Clients);
    }

    [Fact]
    public async Task Who_comes_back_for_an_order_that_is_through_is_told_to_stay_away()
    {
        await using var api = new ReportingApi();
        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1"), new OrderCancelled("o1", "customer", null)));
        await using var updates = await EventStream.OpenAsync(api.Http, "/orders/o1/updates", lastEventId: "1");
        Assert.Equal(["o1 cancelled 2"], await updates.NextAsync(1));
        await updates.EndsAsync();

        using var again = new HttpRequestMessage(HttpMethod.Get, "/orders/o1/updates") { Headers = { { "Last-Event-ID", updates.LastEventId } } };
        using var answer = await api.Http.SendAsync(again, Cancellation);

        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
    }

    [Fact]
    public async Task An_order_that_was_just_placed_is_waited_for()
    {
        await using var api = new ReportingApi(settings: new Dictionary<string, string> { ["Reporting:AwaitOrder"] = "00:10:00" });
        var feed = api.Services.GetRequiredService<UpdateFeed>();
        var opening = EventStream.OpenAsync(api.Http, "/orders/o1/updates");
        while (feed.Clients == 0)
            await Task.Yield();

        await api.DeliverAsync("orders", api.Journal.Commit("0", Journal.Created("o1")));

        await using var updates = await opening;
        Assert.Equal(["o1 created 1"], await updates.NextAsync(1));
    }

    [Fact]
    public async Task An_order_that_does_not_come_is_404_and_an_id_that_is_none_400()
    {
        await using var api = new ReportingApi(settings: new Dictionary<string, string> { ["Reporting:AwaitOrder"] = "00:00:00.001" });

        Assert.Equal("urn:daprorders:order-not-found", (await api.GetAsync("/orders/o1/updates", HttpStatusCode.NotFound)).GetProperty("type").GetString());
        Assert.Equal("urn:daprorders:invalid-request", (await api.GetAsync("/orders/o%201/updates", HttpStatusCode.BadRequest)).GetProperty("type").GetString());
        Assert.Equal(0, api.Services.GetRequiredService<UpdateFeed>().Clients);
    }

    [Fact]
    public async Task Another_buyers_order_is_waited_for_like_one_that_does_not_exist()
    {
        await using var api = new ReportingApi(settings: BearerTokens.Settings.Append(new("Reporting:AwaitOrder", "00:10:00")).ToDictionary(setting => setting.Key, setting => setting.Value));
        api.Journal.Commit("0", Journal.Created("o1", customerId: "c-42"));
        var feed = api.Services.GetRequiredService<UpdateFeed>();
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);

        using var own = await GetAsync("c-42");

        var others = GetAsync("c-43");
        while (feed.Clients < 2 && !others.IsCompleted)
            await Task.Yield();
        using var ownAgain = await GetAsync("c-42");

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (own.StatusCode, ownAgain.StatusCode));
        Assert.False(others.IsCompleted);
        await enough.CancelAsync();
        await Record.ExceptionAsync(() => others);

        async Task<HttpResponseMessage> GetAsync(string buyer)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "/orders/o1/updates") { Headers = { Authorization = new("Bearer", BearerTokens.Of(buyer)) } };
            return await api.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, enough.Token);
        }
    }

    [Fact]
    public async Task All_orders_are_for_operators_and_one_order_for_its_buyer()
    {
        await using var api = new ReportingApi(settings: BearerTokens.Settings.ToDictionary(setting => setting.Key, setting => setting.Value));
        api.Journal.Commit("0", Journal.Created("o1", customerId: "c-42"));

        async Task<HttpResponseMessage> GetAsync(string path, string? token)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, path);
            request.Headers.Authorization = token is null ? null : new("Bearer", token);
            return await api.Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancellation);
        }

        using var own = await GetAsync("/orders/o1/updates", BearerTokens.Of("c-42"));
        using var others = await GetAsync("/orders/o1/updates", BearerTokens.Of("c-43"));
        using var nobodys = await GetAsync("/orders/o1/updates", token: null);
        using var all = await GetAsync("/updates", BearerTokens.Of("ann", "operator"));
        using var allOfABuyer = await GetAsync("/updates", BearerTokens.Of("c-42"));

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.NotFound, HttpStatusCode.Unauthorized), (own.StatusCode, others.StatusCode, nobodys.StatusCode));
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Forbidden), (all.StatusCode, allOfABuyer.StatusCode));
        Assert.Equal("urn:daprorders:order-not-found", (await others.Content.ReadFromJsonAsync<JsonElement>(Cancellation)).GetProperty("type").GetString());
    }
}
