using System.Net;
using Bunit;
using DaprOrders.Console.DeadLetters;

namespace DaprOrders.Console.Tests;

public sealed class DeadLetterTests : ConsolePages
{
    [Theory]
    [InlineData("SKU 17 of order-0192a8f3e1d7 is unknown\n   at Somewhere", "SKU … of … is unknown")]
    [InlineData("No failure of this event is known here", "No failure of this event is known here")]
    public void Reasons_are_compared_without_what_is_particular_to_one(string error, string reason) => Assert.Equal(reason, FailureReasons.Of(error));

    [Fact]
    public void A_group_is_redriven_one_by_one_and_what_fails_again_is_told()
    {
        PlayThree();
        Played.Answer("inventory", "dead-letters/a/redrive", "", HttpStatusCode.NoContent, "POST");
        Played.Answer("inventory", "dead-letters/b/redrive", """{"detail":"The event failed again and stays a dead letter. Boom."}""", HttpStatusCode.Conflict, "POST");
        var page = Render<DeadLetterBoard>();
        Assert.Equal(2, page.FindAll(".reason").Count);

        Button(page, "Redrive all 2").Click();

        page.WaitForAssertion(() => Assert.Contains("1 handled, 1 failed and stay", page.Find(".confirm").TextContent, StringComparison.Ordinal));
        Assert.Contains("The event failed again", page.Find(".confirm .note.bad").TextContent, StringComparison.Ordinal);
        Assert.Equal(["dead-letters/a/redrive", "dead-letters/b/redrive"], Played.Asked.Where(asked => asked.Method == HttpMethod.Post).Select(asked => asked.Path));
    }

    [Fact]
    public void Only_those_that_are_selected_are_redriven()
    {
        PlayThree();
        Played.Answer("inventory", "dead-letters/b/redrive", "", HttpStatusCode.NoContent, "POST");
        var page = Render<DeadLetterBoard>();

        page.FindAll("button").First(button => button.TextContent == "Show messages").Click();
        page.FindAll("input[type=checkbox]")[1].Change(true);
        Button(page, "Redrive 1 selected").Click();

        page.WaitForAssertion(() => Assert.Contains("Redrive of 1 message is done", page.Markup, StringComparison.Ordinal));
        Assert.Equal("dead-letters/b/redrive", Assert.Single(Played.Asked, asked => asked.Method == HttpMethod.Post).Path);
    }

    [Fact]
    public void A_message_is_given_up_only_when_that_was_confirmed_with_the_reason()
    {
        PlayThree();
        Played.Answer("shipping", "dead-letters/c?reason=a%20test%20order", "", HttpStatusCode.NoContent, "DELETE");
        var page = Render<DeadLetterBoard>();

        Button(page, "Discard  …").Click();
        Assert.DoesNotContain(Played.Asked, asked => asked.Method == HttpMethod.Delete);
        page.Find("#why").Change("a test order");
        Button(page, "Yes, give up").Click();

        page.WaitForAssertion(() => Assert.Contains("1 given up", page.Markup, StringComparison.Ordinal));
    }

    [Fact]
    public void The_message_and_its_exception_are_shown_when_asked_for()
    {
        PlayThree();
        Play("shipping", "dead-letters/c", $$$"""{"entry":{{{Samples.Letter("c", "order-3", "Other")}}},"message":{"specversion":"1.0","id":"order-3:1"}}""");
        var page = Render<DeadLetterBoard>();

        page.FindAll("button").Last(button => button.TextContent == "Show messages").Click();
        Button(page, "message").Click();

        page.WaitForAssertion(() => Assert.Contains("\"specversion\": \"1.0\"", page.Find("[aria-label=Message]").TextContent, StringComparison.Ordinal));
    }

    [Fact]
    public void A_viewer_sees_them_and_can_do_nothing()
    {
        SignedInAs("viewer");
        PlayThree();

        var page = Render<DeadLetterBoard>();

        Assert.All(page.FindAll(".acts .button"), button => Assert.True(button.HasAttribute("disabled")));
    }

    [Fact]
    public void What_is_beyond_the_first_page_is_read_too()
    {
        Play("inventory", "dead-letters?limit=500", Samples.LetterPage("n", Samples.Letter("a", "order-1", "SKU 1 is unknown")));
        Play("inventory", "dead-letters?limit=500&cursor=n", Samples.Letters(Samples.Letter("b", "order-2", "The newest failure")));
        Play("inventory", "dead-letters/removed?limit=500", Samples.Removed("r", [.. Enumerable.Range(1, 60).Select(i => $"old-{i}")]));
        Play("inventory", "dead-letters/removed?limit=500&cursor=r", Samples.Removed(null, "just now"));

        var page = Render<DeadLetterBoard>();

        Assert.Contains("The newest failure", page.Markup, StringComparison.Ordinal);
        Assert.Contains("just now", page.Find(".record").TextContent, StringComparison.Ordinal);
        Assert.Equal(50, page.FindAll(".record tbody tr").Count);
    }

    [Fact]
    public void Where_there_are_more_than_are_read_so_many_are_said_to_be_there_at_least()
    {
        Play("inventory", "dead-letters?limit=500", Samples.LetterPage("n", Samples.Letter("a", "order-1", "Boom")));
        Play("inventory", "dead-letters?limit=500&cursor=n", Samples.LetterPage("n", Samples.Letter("b", "order-2", "Boom")));

        var page = Render<DeadLetterBoard>();

        Assert.Contains("at least 4 messages", page.Find(".head").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void Who_gave_a_message_up_and_why_stays_to_be_seen()
    {
        Play("payments", "dead-letters/removed?limit=500", """{"removed":[{"removedAt":"2026-11-27T11:00:00Z","by":"ann","reason":"test data","eventId":"order-1:1","topic":"orders","stream":"order-1","type":"OrderCreated","receivedAt":"2026-11-27T10:00:00Z","attempts":6,"error":"Boom"}],"cursor":null}""");

        var row = Render<DeadLetterBoard>().Find(".record tbody tr").TextContent;

        Assert.Contains("ann", row, StringComparison.Ordinal);
        Assert.Contains("test data", row, StringComparison.Ordinal);
    }

    private void PlayThree()
    {
        Play("inventory", "dead-letters?limit=500", Samples.Letters(Samples.Letter("a", "order-1", "SKU 1 is unknown"), Samples.Letter("b", "order-2", "SKU 2 is unknown")));
        Play("shipping", "dead-letters?limit=500", Samples.Letters(Samples.Letter("c", "order-3", "Other")));
    }

    private static AngleSharp.Dom.IElement Button(IRenderedComponent<DeadLetterBoard> page, string text) =>
        page.FindAll("button").Single(button => button.TextContent.Trim() == text);
}
