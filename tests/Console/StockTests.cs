using System.Net;
using Bunit;
using DaprOrders.Console.Stock;

namespace DaprOrders.Console.Tests;

public sealed class StockTests : ConsolePages
{
    [Fact]
    public void Who_holds_a_product_is_asked_when_somebody_wants_to_know_and_for_as_long()
    {
        PlayTea();
        PlayOpen("paid", Samples.Listed("o-2", "paid", Now), Samples.Listed("o-1", "paid", Now.AddMinutes(-1)));
        var page = Render<StockBoard>();
        Time.Advance(TimeSpan.FromSeconds(3));
        Assert.DoesNotContain(Played.Asked, asked => asked.App == "reporting");

        page.Find("button[aria-expanded]").Click();
        page.WaitForAssertion(() => Assert.Equal(["o-1", "o-2"], page.FindAll(".holds code").Select(code => code.TextContent)));

        PlayOpen("paid", Samples.Listed("o-2", "paid", Now));
        Time.Advance(TimeSpan.FromSeconds(3));
        page.WaitForAssertion(() => Assert.Equal(["o-2"], page.FindAll(".holds code").Select(code => code.TextContent)));
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

    private void PlayTea()
    {
        Play("inventory", "products?limit=100", """{"products":[{"sku":"tea","name":"Tea","price":{"amount":9.50,"currency":"EUR"},"onHand":9,"reserved":4,"available":5}],"next":null}""");
        foreach (var status in Calling.OrderStatuses.Open)
            PlayOpen(status);
    }

    private void PlayOpen(string status, params string[] orders) => Play("reporting", $"orders?status={status}&limit=200", Samples.Page(null, orders));
}
