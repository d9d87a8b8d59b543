using System.Net;
using System.Text;
using Bunit;
using DaprOrders.Console.Orders;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Console.Tests;

public sealed class OrderListTests : ConsolePages
{
    private const string First = "orders?limit=50";

    [Fact]
    public void A_session_that_is_over_while_the_page_is_open_is_begun_again_from_there()
    {
        Played.Answer("reporting", First, """{"title":"Unauthorized"}""", HttpStatusCode.Unauthorized);

        var page = Render<OrderList>();

        Assert.Equal("/sign-in", page.Find(".note.bad a").GetAttribute("href"));
    }

    [Fact]
    public void An_update_changes_its_row_where_it_is_and_a_new_order_waits_until_it_is_asked_for()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-2", "created", Now.AddSeconds(-5)), Samples.Listed("o-1", "shipped", Now.AddSeconds(-9))));
        var updates = new LiveUpdates();
        Played.Answer("reporting", "updates", updates.Open);
        var page = Render<OrderList>();
        Assert.Equal(["o-2", "o-1"], Rows(page));

        updates.Send("""{"orderId":"o-2","status":"stockReserved","version":2,"at":"2026-11-27T12:00:01Z"}""");
        page.WaitForAssertion(() => Assert.Contains("stock reserved", page.Find("tbody tr").TextContent, StringComparison.Ordinal));

        Play("reporting", First, Samples.Page(null, Samples.Listed("o-3", "created", Now), Samples.Listed("o-2", "created", Now.AddSeconds(-5)), Samples.Listed("o-1", "shipped", Now.AddSeconds(-9))));
        updates.Send("""{"orderId":"o-3","status":"created","version":1,"at":"2026-11-27T12:00:02Z"}""");
        page.WaitForAssertion(() => Assert.Contains("Show 1 newer order", page.Markup, StringComparison.Ordinal));
        Assert.Equal(["o-2", "o-1"], Rows(page));
        Assert.Contains("stock reserved", page.FindAll("tbody tr")[1].TextContent, StringComparison.Ordinal);

        page.FindAll("button").Single(button => button.TextContent == "Show 1 newer order").Click();
        Assert.Equal(["o-3", "o-2", "o-1"], Rows(page));
    }

    [Fact]
    public void In_a_flood_of_orders_the_list_is_read_once_a_second()
    {
        Play("reporting", First, Samples.Page(null, Samples.Listed("o-1", "created", Now)));
        var updates = new LiveUpdates();
        Played.Answer("reporting", "updates", updates.Open);
        var page = Render<OrderList>();
        for (var i = 2; i < 50; i++)
            updates.Send($$"""{"orderId":"o-{{i}}","status":"created","version":1,"at":"2026-11-27T12:00:02Z"}""");
        updates.Send("""{"orderId":"o-1","status":"paid","version":3,"at":"2026-11-27T12:00:03Z"}""");
        page.WaitForAssertion(() => Assert.Contains("paid", page.Find("tbody tr").TextContent, StringComparison.Ordinal));
        Assert.Equal(2, Reads());

        Play("reporting", First, Samples.Page(null, Samples.Listed("o-49", "created", Now.AddSeconds(2)), Samples.Listed("o-1", "created", Now)));
        Time.Advance(TimeSpan.FromSeconds(1));
        page.WaitForAssertion(() => Assert.Contains("Show 1 newer order", page.Markup, StringComparison.Ordinal));
        Assert.Equal(3, Reads());

        int Reads() => Played.Asked.Count(asked => asked.Path == First);
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

    private static IEnumerable<string> Rows(IRenderedComponent<OrderList> page) => page.FindAll("tbody code").Select(code => code.TextContent);

    /// <summary>An answer that goes on.</summary>
    private sealed class LiveUpdates
    {
        private readonly System.IO.Pipelines.Pipe _pipe = new();
        private int _position;

        public HttpResponseMessage Open() =>
            new(HttpStatusCode.OK) { Content = new StreamContent(_pipe.Reader.AsStream()) { Headers = { ContentType = new("text/event-stream") } } };

        public void Send(string json) =>
            _pipe.Writer.WriteAsync(Encoding.UTF8.GetBytes($": alive\n\nid: {++_position}\nevent: order\ndata: {json}\n\n")).AsTask().GetAwaiter().GetResult();
    }
}
