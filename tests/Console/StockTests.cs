using System.Net;
using Bunit;
using DaprOrders.Console.Stock;

namespace DaprOrders.Console.Tests;

public sealed class StockTests : ConsolePages
{
    [Fact]
    public async Task Who_holds_a_product_is_asked_when_somebody_wants_to_know_and_for_as_long()
    {
        PlayTea();
        PlayOpen("paid", Samples.Listed("o-2", "paid", Now), Samples.Listed("o-1", "paid", Now.AddMinutes(-1)));
        var page = Render<StockBoard>();
        Time.Advance(TimeSpan.FromSeconds(3));
        Assert.DoesNotContain(Played.Asked, asked => asked.App == "reporting");

        // The page may be drawn anew just now.
        await page.InvokeAsync(() => page.Find("button[aria-expanded]").Click());
        page.WaitForAssertion(() => Assert.Equal(["o-1", "o-2"], page.FindAll(".holds code").Select(code => code.TextContent)));

        PlayOpen("paid", Samples.Listed("o-2", "paid", Now));
        Time.Advance(TimeSpan.FromSeconds(3));
        page.WaitForAssertion(() => Assert.Equal(["o-2"], page.FindAll(".holds code").Select(code => code.TextContent)));
    }

    [Fact]
    public void A_long_price_list_is_turned_over_and_back()
    {
        static string Of(string sku, string next) => $$"""{"products":[{"sku":"{{sku}}","name":"Tea","price":{"amount":9.50,"currency":"EUR"},"onHand":1,"reserved":0,"available":1}],"next":{{next}}}""";
        Play("inventory", "products?limit=100", Of("a", "\"a\""));
        Play("inventory", "products?limit=100&after=a", Of("b", "null"));
        var page = Render<StockBoard>();
        Assert.Equal(["Following products"], Paging());

        page.Find(".paging button").Click();
        page.WaitForAssertion(() => Assert.Equal("b", page.Find("tbody code").TextContent));
        Assert.Equal(["First products"], Paging());

        page.Find(".paging button").Click();
        page.WaitForAssertion(() => Assert.Equal("a", page.Find("tbody code").TextContent));

        IEnumerable<string> Paging() => page.FindAll(".paging button").Select(button => button.TextContent);
    }

    [Fact]
    public void Where_Reporting_does_not_tell_who_holds_it_that_is_said_and_the_stock_is_shown()
    {
        PlayTea();
        Played.Answer("reporting", "orders?status=created&limit=200", """{"title":"Away","detail":"The store does not answer."}""", HttpStatusCode.ServiceUnavailable);
        var page = Render<StockBoard>();

        page.Find("button[aria-expanded]").Click();

        page.WaitForAssertion(() => Assert.Contains("reporting answered 503: The store does not answer.", page.Find(".note.bad").TextContent, StringComparison.Ordinal));
        Assert.Contains("Tea", page.Find("tbody").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Where_there_are_more_open_orders_than_fit_it_is_said_how_much_more_is_held_and_they_can_be_turned_over()
    {
        Play("inventory", "products?limit=100", """{"products":[{"sku":"tea","name":"Tea","price":{"amount":9.50,"currency":"EUR"},"onHand":9000,"reserved":9,"available":8991}],"next":null}""");
        foreach (var status in Calling.OrderStatuses.Open)
            PlayOpen(status);
        Play("reporting", "summary", Samples.Summary(paid: 4));
        Play("reporting", "orders?status=paid&limit=200", Samples.Page("c1", Samples.Listed("o-4", "paid", Now), Samples.Listed("o-3", "paid", Now.AddMinutes(-1))));
        Play("reporting", "orders?status=paid&limit=200&cursor=c1", Samples.Page("c2", Samples.Listed("o-2", "paid", Now.AddMinutes(-2))));
        Play("reporting", "orders?status=paid&limit=200&cursor=c2", Samples.Page(null, Samples.Listed("o-1", "paid", Now.AddMinutes(-3))));
        var page = Render<StockBoard>();

        page.Find("button[aria-expanded]").Click();
        page.WaitForAssertion(() => Assert.Equal("5 pieces more are reserved: by older orders. 2 open orders of 4 were looked through.", page.Find(".more-holds").TextContent));

        Button("Older orders").Click();
        page.WaitForAssertion(() => Assert.Equal(["o-2"], Orders()));
        Assert.Equal("3 pieces more are reserved: by older orders. 3 open orders of 4 were looked through.", page.Find(".more-holds").TextContent);

        Button("Older orders").Click();
        page.WaitForAssertion(() => Assert.Equal(["o-1"], Orders()));
        Assert.Equal("1 piece more is reserved: Reporting may be a moment behind.", page.Find(".more-holds").TextContent);
        Assert.True(Button("Older orders").HasAttribute("disabled"));

        Time.Advance(TimeSpan.FromSeconds(3));
        page.WaitForAssertion(() => Assert.Equal(2, Played.Asked.Count(asked => asked.Path.EndsWith("cursor=c2", StringComparison.Ordinal))));
        await page.InvokeAsync(() => Button("Newer orders").Click());
        page.WaitForAssertion(() => Assert.Equal(["o-2"], Orders()));

        IEnumerable<string> Orders() => page.FindAll(".holds code").Select(code => code.TextContent);

        AngleSharp.Dom.IElement Button(string text) => page.FindAll("button").Single(button => button.TextContent == text);
    }

    [Fact]
    public void Where_all_that_is_reserved_is_listed_nothing_more_is_said()
    {
        PlayTea();
        PlayOpen("paid", Samples.Listed("o-2", "paid", Now), Samples.Listed("o-1", "paid", Now.AddMinutes(-1)));
        var page = Render<StockBoard>();

        page.Find("button[aria-expanded]").Click();

        page.WaitForAssertion(() => Assert.Equal(2, page.FindAll(".holds li").Count));
        Assert.Empty(page.FindAll(".more-holds"));
        Assert.DoesNotContain(page.FindAll("button"), button => button.TextContent == "Older orders");
    }

    private void PlayTea()
    {
        Play("inventory", "products?limit=100", """{"products":[{"sku":"tea","name":"Tea","price":{"amount":9.50,"currency":"EUR"},"onHand":9,"reserved":4,"available":5}],"next":null}""");
        foreach (var status in Calling.OrderStatuses.Open)
            PlayOpen(status);
    }

    private void PlayOpen(string status, params string[] orders) => Play("reporting", $"orders?status={status}&limit=200", Samples.Page(null, orders));
}
