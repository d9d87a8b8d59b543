using System.Net;
using Bunit;
using DaprOrders.Console.DeadLetters;

namespace DaprOrders.Console.Tests;

/// <summary>The record of what operators did: all of it, page by page, and each act by itself.</summary>
public sealed class ActTests : ConsolePages
{
    [Fact]
    public void Of_an_edit_both_messages_are_shown_with_who_why_and_the_order()
    {
        Play("payments", "dead-letters/acts/p-1", $$$"""{"entry":{{{Samples.Act("p-1", "editedRedrive", "passedOver", Now)}}},"original":{"data":{"to":17}},"edited":{"data":{"to":"Bob"} } }""");

        var page = Open("payments", "p-1");

        Assert.Contains("17", page.Find("[aria-label='The message as it came']").TextContent, StringComparison.Ordinal);
        Assert.Contains("Bob", page.Find("[aria-label='The message as it was handled']").TextContent, StringComparison.Ordinal);
        var facts = page.Find(".facts").TextContent;
        Assert.Contains("ann", facts, StringComparison.Ordinal);
        Assert.Contains("test data", facts, StringComparison.Ordinal);
        Assert.Contains("passed over", facts, StringComparison.Ordinal);
        Assert.Equal("/orders/1", page.Find(".facts a").GetAttribute("href"));
    }

    [Theory]
    [InlineData("nobody", "p-1")]
    [InlineData("payments", "gone")]
    public void An_act_that_is_not_on_record_is_said_not_to_be(string app, string id)
    {
        Played.Answer("payments", "dead-letters/acts/gone", """{"detail":"gone"}""", HttpStatusCode.NotFound);

        Assert.Contains("no such act on record", Open(app, id).Markup, StringComparison.Ordinal);
        Assert.DoesNotContain(Played.Asked, asked => asked.App == "nobody");
    }

    [Fact]
    public void The_acts_of_a_service_are_turned_over_to_the_oldest_and_back()
    {
        Play("payments", "dead-letters/acts?limit=50", $$"""{"acts":[{{Samples.Act("p-2", "discard", "givenUp", Now)}}],"cursor":"0.p-2"}""");
        Play("payments", "dead-letters/acts?limit=50&cursor=0.p-2", Samples.Acts(Samples.Act("p-1", "redrive", "handled", Now.AddHours(-1))));
        var page = Render<ActList>(parameters => parameters.Add(p => p.App, "payments"));
        Assert.Equal(["/dead-letters/payments/acts/p-2"], Links());
        Assert.True(Button("Newer").HasAttribute("disabled"));

        Button("Older").Click();
        page.WaitForAssertion(() => Assert.Equal(["/dead-letters/payments/acts/p-1"], Links()));
        Assert.True(Button("Older").HasAttribute("disabled"));

        Button("Newer").Click();
        page.WaitForAssertion(() => Assert.Equal(["/dead-letters/payments/acts/p-2"], Links()));

        IEnumerable<string?> Links() => page.FindAll("tbody a").Select(link => link.GetAttribute("href"));

        AngleSharp.Dom.IElement Button(string text) => page.FindAll("button").Single(button => button.TextContent == text);
    }

    [Fact]
    public void A_service_that_is_none_has_no_acts_and_is_not_asked()
    {
        Assert.Contains("There is no service x", Render<ActList>(parameters => parameters.Add(p => p.App, "x")).Find(".empty").TextContent, StringComparison.Ordinal);
        Assert.Empty(Played.Asked);
    }

    private IRenderedComponent<ActView> Open(string app, string id) => Render<ActView>(parameters => parameters.Add(p => p.App, app).Add(p => p.Id, id));
}
