using System.Net;
using Bunit;
using DaprOrders.Console.TryIt;

namespace DaprOrders.Console.Tests;

public sealed class TryItTests : ConsolePages
{
    [Theory]
    [InlineData("try-tea", "try-rarity")]
    [InlineData("try-rarity", "try-tea")]
    public void Of_what_is_ordered_here_each_is_listed_that_is_not(string listed, string missing)
    {
        Play("inventory", $"products/{listed}", Product(listed));
        Played.Answer("inventory", $"products/{missing}", """{"title":"Not found"}""", HttpStatusCode.NotFound);
        Played.Answer("inventory", $"products/{missing}", Product(missing), HttpStatusCode.Created, "PUT");
        Played.Answer("ordering", "orders", """{"orderId":"o-1","status":"created"}""", HttpStatusCode.Accepted, "POST");
        var page = Render<TryItBoard>();

        page.Find("[aria-label='Place: Something that is out of stock']").Click();

        page.WaitForAssertion(() => Assert.Equal("o-1", page.Find(".holds code").TextContent));
        Assert.Equal($"products/{missing}", Assert.Single(Played.Asked, asked => asked.Method == HttpMethod.Put).Path);

        static string Product(string sku) => $$"""{"sku":"{{sku}}","name":"Tea","price":{"amount":9.50,"currency":"EUR"},"onHand":900,"reserved":0,"available":900}""";
    }
}
