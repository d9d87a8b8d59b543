using System.Net;
using System.Text;
using System.Text.Json;
using Bunit;
using DaprOrders.Console.Calling;
using DaprOrders.Console.Orders;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Console.Tests;

public sealed class OrderListTests : ConsolePages
{
    private const string First = "orders?limit=50";

    private static readonly TimeSpan Moment = TimeSpan.FromMilliseconds(250);

    [Fact]
    public void A_session_that_is_over_while_the_page_is_open_is_begun_again_from_there()
    {
        Played.Answer("reporting", First, """{"title":"Unauthorized"}""", HttpStatusCode.Unauthorized);

        var page = Render<OrderList>();

        Assert.Equal("/sign-in", page.Find(".note.bad a").GetAttribute("href"));
    }

    [Fact]
    public async Task An_update_changes_its_row_where_it_is_and_a_new_order_waits_until_it_is_asked_for()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-2", "created", Now.AddSeconds(-5)), Samples.Listed("o-1", "shipped", Now.AddSeconds(-9))));
        var updates = new LiveUpdates();
        Played.Answer("reporting", "updates", updates.Open);
        var page = Render<OrderList>();
        Assert.Equal(["o-2", "o-1"], Rows(page));

        updates.Send("""{"orderId":"o-2","status":"stockReserved","version":2,"at":"2026-11-27T12:00:01Z"}""");
        await LaterAsync(() => Assert.Contains("stock reserved", page.Find("tbody tr").TextContent, StringComparison.Ordinal), Moment);

        Play("reporting", First, Samples.Page(null, Samples.Listed("o-3", "created", Now), Samples.Listed("o-2", "created", Now.AddSeconds(-5)), Samples.Listed("o-1", "shipped", Now.AddSeconds(-9))));
        updates.Send("""{"orderId":"o-3","status":"created","version":1,"at":"2026-11-27T12:00:02Z"}""");
        await LaterAsync(() => Assert.Contains("Show 1 newer order", page.Markup, StringComparison.Ordinal), Moment);
        Assert.Equal(["o-2", "o-1"], Rows(page));
        Assert.Contains("stock reserved", page.FindAll("tbody tr")[1].TextContent, StringComparison.Ordinal);

        await page.InvokeAsync(() => page.FindAll("button").Single(button => button.TextContent == "Show 1 newer order").Click());
        Assert.Equal(["o-3", "o-2", "o-1"], Rows(page));
    }

    [Fact]
    public async Task In_a_flood_of_orders_the_list_is_read_once_a_second()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "created", Now)));
        var updates = new LiveUpdates();
        Played.Answer("reporting", "updates", updates.Open);
        var page = Render<OrderList>();
        for (var i = 2; i < 50; i++)
            updates.Send($$"""{"orderId":"o-{{i}}","status":"created","version":1,"at":"2026-11-27T12:00:02Z"}""");
        updates.Send("""{"orderId":"o-1","status":"paid","version":3,"at":"2026-11-27T12:00:03Z"}""");
        await LaterAsync(() => Assert.Equal("paid", page.Instance.State!.Rows[0].Status), TimeSpan.Zero);
        Assert.Equal(2, Reads());
        var drawn = page.RenderCount;
        Time.Advance(Moment);
        page.WaitForAssertion(() => Assert.Contains("paid", page.Find("tbody tr").TextContent, StringComparison.Ordinal));
        Assert.Equal(drawn + 1, page.RenderCount);

        Play("reporting", First, Samples.Page(null, Samples.Listed("o-49", "created", Now.AddSeconds(2)), Samples.Listed("o-1", "created", Now)));
        Time.Advance(TimeSpan.FromMilliseconds(750));
        page.WaitForAssertion(() => Assert.Contains("Show 1 newer order", page.Markup, StringComparison.Ordinal));
        Assert.Equal(3, Reads());

        int Reads() => Played.Asked.Count(asked => asked.Path == First);
    }

    [Fact]
    public void What_happened_before_the_updates_began_is_read_when_they_begin()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "created", Now)));
        var updates = new LiveUpdates();
        Played.Answer("reporting", "updates", () =>
        {
            Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "shipped", Now, version: 4)));
            return updates.Open();
        });

        var page = Render<OrderList>();

        page.WaitForAssertion(() => Assert.Contains("shipped", page.Find("tbody tr").TextContent, StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_update_that_cannot_be_read_is_passed_and_the_list_read_instead()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "created", Now)));
        var updates = new LiveUpdates();
        Played.Answer("reporting", "updates", updates.Open);
        var page = Render<OrderList>();

        updates.Send("""{"orderId":"o-1","status":7,"version":"none"}""");
        updates.Send("""{"orderId":"o-1","status":"paid","version":3,"at":"2026-11-27T12:00:03Z"}""");

        await LaterAsync(() => Assert.Equal("paid", page.Instance.State!.Rows[0].Status), TimeSpan.Zero);
        Assert.StartsWith("The live update 1 of Reporting cannot be read", Assert.Single(Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_listed_later_and_was_placed_earlier_is_newer_too()
    {
        var shown = OrderListState.Of(Read(null, Samples.Listed("o-1", "created", Now)));

        var later = shown.With(Read(null, Samples.Listed("o-2", "created", Now.AddSeconds(-1)), Samples.Listed("o-1", "created", Now)));

        Assert.Equal(["o-2"], later.Waiting.Select(order => order.OrderId));
    }

    [Fact]
    public async Task A_page_that_does_not_reach_the_rows_says_that_there_is_more_and_the_newest_are_read_anew()
    {
        Play("reporting", First, Samples.Page("0.", Samples.Listed("o-1", "created", Now)));
        var updates = new LiveUpdates();
        Played.Answer("reporting", "updates", updates.Open);
        var page = Render<OrderList>();
        Play("reporting", First, Samples.Page("1.", Samples.Listed("o-9", "created", Now.AddSeconds(1)), Samples.Listed("o-8", "created", Now)));
        updates.Send("""{"orderId":"o-9","status":"created","version":1,"at":"2026-11-27T12:00:02Z"}""");
        await LaterAsync(() => Assert.Contains("Newest: at least 2 newer orders", page.Markup, StringComparison.Ordinal), Moment);
        Assert.Equal(["o-1"], Rows(page));

        page.FindAll("button").Single(button => button.TextContent.StartsWith("Newest", StringComparison.Ordinal)).Click();

        Assert.Equal(["o-9", "o-8"], Rows(page));
        Assert.DoesNotContain("at least", page.Markup, StringComparison.Ordinal);
    }

    [Fact]
    public void However_long_a_list_is_left_open_it_keeps_only_so_many_orders()
    {
        var list = OrderListState.Of(Read(null, Samples.Listed("o-0", "created", Now)));
        for (var i = 1; i <= 300; i++)
            list = list.With(Read("0.", Samples.Listed($"o-{i}", "created", Now), Samples.Listed($"o-{i - 1}", "created", Now)));

        Assert.Empty(list.Waiting);
        Assert.Equal(201, list.NewerCount);

        list = OrderListState.Of(Read(null, Samples.Listed("o-0", "created", Now)));
        for (var i = 1; i <= 500 && list.CanShowWaiting; i++)
            list = list.With(Read("0.", Samples.Listed($"p-{i}", "created", Now), Samples.Listed(list.Rows[0].OrderId, "created", Now))).ShowWaiting();
        Assert.False(list.CanShowWaiting);
        Assert.Equal(401, list.Rows.Count);
    }

    [Fact]
    public async Task The_customer_who_was_clicked_last_is_shown_whoever_is_answered_last()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-2", "created", Now, customer: "c-2"), Samples.Listed("o-1", "created", Now, customer: "c-1")));
        var slow = new TaskCompletionSource<HttpResponseMessage>();
        Played.AnswerLater("reporting", "customers/c-1/orders?limit=50", slow.Task);
        Play("reporting", "customers/c-2/orders?limit=50", Samples.Page(null, Samples.Listed("o-2", "created", Now, customer: "c-2")));
        var page = Render<OrderList>();

        var first = Customer("c-1").ClickAsync(new());
        Customer("c-2").Click();
        page.WaitForAssertion(() => Assert.Equal(["o-2"], Rows(page)));
        slow.SetResult(new(HttpStatusCode.OK) { Content = new StringContent(Samples.Page(null, Samples.Listed("o-1", "created", Now)), Encoding.UTF8, "application/json") });
        await first;
        Assert.Equal(["o-2"], Rows(page));
        page.Find("#before").Change("2026-11-27T13:00");
        Play("reporting", "orders?limit=200", Samples.Page(null, Samples.Listed("o-2", "created", Now)));

        page.WaitForAssertion(() => Assert.Empty(page.FindAll(".note")));

        AngleSharp.Dom.IElement Customer(string id) => page.FindAll("td button").Single(button => button.TextContent == id);
    }

    [Fact]
    public void The_status_that_is_chosen_already_shows_the_orders_of_all_customers_again()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-2", "created", Now, customer: "c-2"), Samples.Listed("o-1", "created", Now, customer: "c-1")));
        Play("reporting", "customers/c-1/orders?limit=50", Samples.Page(null, Samples.Listed("o-1", "created", Now, customer: "c-1")));
        var page = Render<OrderList>();
        page.FindAll("td button").Single(button => button.TextContent == "c-1").Click();
        page.WaitForAssertion(() => Assert.Equal(["o-1"], Rows(page)));

        page.FindAll(".pill").Single(pill => pill.TextContent == "all").Click();

        page.WaitForAssertion(() => Assert.Equal(["o-2", "o-1"], Rows(page)));
        Assert.Empty(page.FindAll(".note"));
    }

    [Theory]
    [InlineData(".")]
    [InlineData("..")]
    public void What_is_a_step_in_an_address_is_no_id(string looked)
    {
        var page = Render<OrderList>();

        page.Find("#search").Change(looked);
        page.Find("form").Submit();

        page.WaitForAssertion(() => Assert.Contains($"neither an order nor a customer “{looked}”", page.Markup, StringComparison.Ordinal));
        Assert.DoesNotContain(Played.Asked, asked => asked.App == "ordering");
    }

    [Fact]
    public void Where_Reporting_has_no_updates_the_list_is_read_again()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "created", Now)));
        var page = Render<OrderList>();
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "shipped", Now, version: 4)));

        page.WaitForAssertion(() =>
        {
            Time.Advance(TimeSpan.FromSeconds(2));
            Assert.Contains("shipped", page.Find("tbody tr").TextContent, StringComparison.Ordinal);
        });
    }

    [Fact]
    public async Task Given_a_Reporting_that_answers_nothing_at_all_the_list_is_read_again()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "created", Now)));
        Played.AnswerLater("reporting", "updates", new TaskCompletionSource<HttpResponseMessage>().Task);
        var page = Render<OrderList>();
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "shipped", Now, version: 4)));

        await LaterAsync(() => Assert.Contains("shipped", page.Find("tbody tr").TextContent, StringComparison.Ordinal), TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task Given_updates_that_show_no_sign_of_life_any_more_they_are_begun_anew_and_the_list_is_read()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "created", Now)));
        var updates = new LiveUpdates();
        Played.Answer("reporting", "updates", updates.Open);
        var page = Render<OrderList>();
        for (var sign = 0; sign < 4; sign++)
        {
            await updates.ShowLifeAsync().WaitAsync(DefaultWaitTimeout, Xunit.TestContext.Current.CancellationToken);
            Time.Advance(TimeSpan.FromSeconds(30));
        }

        await updates.ShowLifeAsync().WaitAsync(DefaultWaitTimeout, Xunit.TestContext.Current.CancellationToken);
        Assert.Single(Played.Asked, asked => asked.Path == "updates");
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "shipped", Now, version: 4)));

        await LaterAsync(() => Assert.Contains("shipped", page.Find("tbody tr").TextContent, StringComparison.Ordinal), TimeSpan.FromSeconds(1));
    }

    [Fact]
    public void A_customer_is_looked_for_without_being_named_in_the_address()
    {
        Played.Answer("ordering", "orders/c-7", """{"title":"Not found","detail":"There is no order c-7."}""", HttpStatusCode.NotFound);
        Play("reporting", "customers/c-7/orders?limit=50", Samples.Page(null, Samples.Listed("o-9", "paid", Now, customer: "c-7")));
        var page = Render<OrderList>();
        var address = Services.GetRequiredService<NavigationManager>().Uri;

        page.Find("#search").Change("c-7");
        page.Find("form").Submit();

        page.WaitForAssertion(() => Assert.Equal(["o-9"], Rows(page)));
        Assert.Equal(address, Services.GetRequiredService<NavigationManager>().Uri);
        Assert.Contains("Orders of customer c-7", page.Find(".note").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void An_order_that_is_looked_for_is_gone_to()
    {
        Play("ordering", "orders/o-1", Samples.Order("o-1", "paid", 3));
        var page = Render<OrderList>();

        page.Find("#search").Change(" o-1 ");
        page.Find("form").Submit();

        page.WaitForAssertion(() => Assert.EndsWith("/orders/o-1", Services.GetRequiredService<NavigationManager>().Uri, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("o-1/events")]
    [InlineData("ann@example.com")]
    [InlineData("50%?")]
    public void What_can_be_no_id_is_asked_of_nobody(string looked)
    {
        var page = Render<OrderList>();
        Played.Asked.Clear();

        page.Find("#search").Change(looked);
        page.Find("form").Submit();

        page.WaitForAssertion(() => Assert.Contains($"neither an order nor a customer “{looked}”", page.Find("[role=status]").TextContent, StringComparison.Ordinal));
        Assert.DoesNotContain(Played.Asked, asked => asked.App == "ordering" || asked.Path.StartsWith("customers", StringComparison.Ordinal));
    }

    [Fact]
    public void While_Ordering_is_away_nobody_says_that_there_is_no_such_order()
    {
        Play("reporting", "customers/o-1/orders?limit=50", Samples.Page(null));
        var page = Render<OrderList>();

        page.Find("#search").Change("o-1");
        page.Find("form").Submit();

        page.WaitForAssertion(() => Assert.Contains("whether there is such an order is not known: ordering cannot be reached", page.Find("[role=status]").TextContent, StringComparison.Ordinal));
    }

    [Fact]
    public void What_is_neither_order_nor_customer_is_said_and_the_list_stays()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "created", Now)));
        Played.Answer("ordering", "orders/x", """{"detail":"There is no order x."}""", HttpStatusCode.NotFound);
        Play("reporting", "customers/x/orders?limit=50", Samples.Page(null));
        var page = Render<OrderList>();

        page.Find("#search").Change("x");
        page.Find("form").Submit();

        page.WaitForAssertion(() => Assert.Contains("neither an order nor a customer", page.Markup, StringComparison.Ordinal));
        Assert.Equal(["o-1"], Rows(page));
    }

    [Fact]
    public void Orders_before_a_time_are_found_by_reading_back()
    {
        Play("reporting", "orders?limit=200", Samples.Page("1.a", Samples.Listed("o-3", "shipped", Now)));
        Play("reporting", "orders?limit=200&cursor=1.a", Samples.Page(null, Samples.Listed("o-2", "shipped", Now.AddHours(-1)), Samples.Listed("o-1", "shipped", Now.AddHours(-3))));
        var page = Render<OrderList>();

        page.Find("#before").Change("2026-11-27T10:00");

        page.WaitForAssertion(() => Assert.Equal(["o-1"], Rows(page)));
    }

    [Fact]
    public void What_Reporting_refuses_is_told_by_field()
    {
        Played.Answer("reporting", First, """{"detail":"The request has invalid fields; see 'errors'.","errors":{"cursor":["Expected the 'cursor' of an earlier page."]}}""", HttpStatusCode.BadRequest);

        var page = Render<OrderList>();

        Assert.Contains("reporting answered 400: cursor: Expected the 'cursor' of an earlier page.", page.Find(".note.bad").TextContent, StringComparison.Ordinal);
    }

    /// <summary>What is drawn a moment later draws nothing until then, so the page does not wait for it by itself.</summary>
    /// <param name="passes">How much of the page's time passes from look to look.</param>
    private async Task LaterAsync(Action assertion, TimeSpan passes)
    {
        using var looks = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        for (var look = 0; look < 5_000; look++)
        {
            Time.Advance(passes);
            try
            {
                assertion();
                return;
            }
            catch (Exception exception) when (exception is Xunit.Sdk.XunitException or ElementNotFoundException)
            {
                await looks.WaitForNextTickAsync(Xunit.TestContext.Current.CancellationToken);
            }
        }

        assertion();
    }

    private static Answer<OrderPage> Read(string? cursor, params string[] orders) =>
        new(JsonSerializer.Deserialize<OrderPage>(Samples.Page(cursor, orders), JsonSerializerOptions.Web), null);

    private static IEnumerable<string> Rows(IRenderedComponent<OrderList> page) => page.FindAll("tbody code").Select(code => code.TextContent);

    /// <summary>An answer that goes on.</summary>
    private sealed class LiveUpdates
    {
        // What is written waits until it was read.
        private readonly System.IO.Pipelines.Pipe _pipe = new(new(pauseWriterThreshold: 1, resumeWriterThreshold: 1));
        private int _position;

        public HttpResponseMessage Open() =>
            new(HttpStatusCode.OK) { Content = new StreamContent(_pipe.Reader.AsStream(leaveOpen: true)) { Headers = { ContentType = new("text/event-stream") } } };

        public Task ShowLifeAsync() => WriteAsync(": alive\n\n");

        public void Send(string json) =>
            WriteAsync($": alive\n\nid: {++_position}\nevent: order\ndata: {json}\n\n").GetAwaiter().GetResult();

        private async Task WriteAsync(string text) => await _pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes(text));
    }
}
