using System.Net;
using AngleSharp.Dom;
using Bunit;
using DaprOrders.Console.DeadLetters;

namespace DaprOrders.Console.Tests;

/// <summary>The page of one dead letter.</summary>
public sealed class LetterTests : ConsolePages
{
    private const string Edited = """{"orderId":"1","to":"Bob"}""";

    [Fact]
    public void It_shows_the_message_and_its_exception()
    {
        PlayLetter();

        var page = Open();

        Assert.Contains("\"to\": 17", page.Find("[aria-label=Message]").TextContent, StringComparison.Ordinal);
        Assert.Contains("Boom\n   at Somewhere", page.Find("[aria-label=Exception]").TextContent, StringComparison.Ordinal);
        Assert.Equal("/orders/1", page.Find(".facts a").GetAttribute("href"));
    }

    [Theory]
    [InlineData("a/redrive")]
    [InlineData("a%2Fredrive")]
    [InlineData("a?cursor=1")]
    public void What_can_be_no_letter_s_id_is_said_to_be_none_and_asked_of_nobody(string id)
    {
        var page = Render<LetterView>(parameters => parameters.Add(p => p.App, "shipping").Add(p => p.Id, id));

        Assert.Contains("There is no such dead letter", page.Find(".empty").TextContent, StringComparison.Ordinal);
        Assert.Empty(Played.Asked);
    }

    [Fact]
    public void What_it_should_have_said_is_written_and_sent_with_the_reason()
    {
        PlayLetter();
        Played.Answer("shipping", "dead-letters/a/edited-redrive", """{"actId":"act-1","result":"handled"}""", method: "POST");
        var page = Open();

        Button(page, "Edit and redrive …").Click();
        Assert.Contains("\"to\": 17", page.Find("#data").GetAttribute("value"), StringComparison.Ordinal);
        page.Find("#data").Change(Edited);
        page.Find("#why").Change(" a number is no name ");
        Played.Answer("shipping", "dead-letters/a", """{"detail":"gone"}""", HttpStatusCode.NotFound);
        page.Find("form").Submit();

        page.WaitForAssertion(() => Assert.Contains("handled as you have edited it", page.Find(".note.good").TextContent, StringComparison.Ordinal));
        Assert.Equal(
            """{"data":{"orderId":"1","to":"Bob"},"reason":"a number is no name"}""", Assert.Single(Played.Asked, asked => asked.Method == HttpMethod.Post).Body);
        Assert.Equal("/dead-letters/shipping/acts/act-1", page.Find(".note.good a").GetAttribute("href"));
        Assert.Empty(page.FindAll("form"));
        Assert.Contains("no such dead letter any more", page.Markup, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("passedOver", "shipping has passed it over")]
    [InlineData("withoutEffect", "shipping had nothing to do any more")]
    public void An_edit_of_which_nothing_came_is_not_said_to_have_had_an_effect(string result, string told)
    {
        PlayLetter();
        Played.Answer("shipping", "dead-letters/a/edited-redrive", $$"""{"actId":"act-1","result":"{{result}}"}""", method: "POST");
        var page = Open();

        Button(page, "Edit and redrive …").Click();
        page.Find("#data").Change(Edited);
        page.Find("#why").Change("r");
        page.Find("form").Submit();

        page.WaitForAssertion(() => Assert.Contains(told, page.Find(".note.warn").TextContent, StringComparison.Ordinal));
        Assert.Empty(page.FindAll(".note.good"));
    }

    [Theory]
    [InlineData("""{"to":""", "r", "This is no JSON, in line 1")]
    [InlineData(Edited, " ", "Why?")]
    public void What_is_no_JSON_or_has_no_reason_is_not_even_sent(string data, string reason, string told)
    {
        PlayLetter();
        var page = Open();

        Button(page, "Edit and redrive …").Click();
        page.Find("#data").Change(data);
        page.Find("#why").Change(reason);
        page.Find("form").Submit();

        page.WaitForAssertion(() => Assert.Contains(told, page.Find("#wrong").TextContent, StringComparison.Ordinal));
        Assert.DoesNotContain(Played.Asked, asked => asked.Method == HttpMethod.Post);
    }

    [Fact]
    public void What_the_service_refuses_is_told_by_the_field_and_what_was_written_stays()
    {
        PlayLetter();
        Played.Answer(
            "shipping", "dead-letters/a/edited-redrive", """{"errors":{"data.orderId":["Expected '1': whom an event is about cannot be edited."]}}""", HttpStatusCode.BadRequest, "POST");
        var page = Open();

        Button(page, "Edit and redrive …").Click();
        page.Find("#data").Change("""{"orderId":"2","to":"Bob"}""");
        page.Find("#why").Change("r");
        page.Find("form").Submit();

        page.WaitForAssertion(() => Assert.Contains("data.orderId: Expected '1'", page.Find("#wrong").TextContent, StringComparison.Ordinal));
        Assert.Equal("""{"orderId":"2","to":"Bob"}""", page.Find("#data").GetAttribute("value"));
    }

    [Fact]
    public void It_is_redriven_as_it_is()
    {
        PlayLetter();
        Played.Answer("shipping", "dead-letters/a/redrive", """{"detail":"The event failed again and stays a dead letter. Boom"}""", HttpStatusCode.Conflict, "POST");
        var page = Open();

        Button(page, "Redrive").Click();

        page.WaitForAssertion(() => Assert.Contains("failed again", page.Find(".note.bad").TextContent, StringComparison.Ordinal));
    }

    [Fact]
    public void A_viewer_sees_it_and_can_do_nothing()
    {
        SignedInAs("viewer");
        PlayLetter();

        var page = Open();

        Assert.All(page.FindAll(".acts .button"), button => Assert.True(button.HasAttribute("disabled")));
    }

    [Theory]
    [InlineData("nobody", "a")]
    [InlineData("shipping", "gone")]
    public void What_does_not_exist_is_said_so_and_nobody_else_is_asked(string app, string id)
    {
        Played.Answer("shipping", "dead-letters/gone", """{"detail":"gone"}""", HttpStatusCode.NotFound);

        var page = Render<LetterView>(parameters => parameters.Add(p => p.App, app).Add(p => p.Id, id));

        Assert.Contains("no such dead letter any more", page.Markup, StringComparison.Ordinal);
        Assert.DoesNotContain(Played.Asked, asked => asked.App == "nobody");
    }

    [Theory]
    [InlineData("acts", """{"acts":[],"cursor":null}""")]
    [InlineData("counts", """{"letters":0,"groups":[],"cursor":null}""")]
    [InlineData("redrive", """{"id":"job-1","status":"done","handled":1,"failed":0}""")]
    public void A_word_of_the_API_in_the_place_of_an_id_is_no_dead_letter(string word, string answered)
    {
        Play("shipping", $"dead-letters/{word}", answered);

        var page = Render<LetterView>(parameters => parameters.Add(p => p.App, "shipping").Add(p => p.Id, word));

        Assert.Contains("no such dead letter any more", page.Markup, StringComparison.Ordinal);
        Assert.Empty(page.FindAll(".acts"));
    }

    private IRenderedComponent<LetterView> Open() => Render<LetterView>(parameters => parameters.Add(p => p.App, "shipping").Add(p => p.Id, "a"));

    private void PlayLetter() => Play(
        "shipping", "dead-letters/a", $$$"""{"entry":{{{Samples.Letter("a", "order-1", "Boom\n   at Somewhere")}}},"message":{"specversion":"1.0","id":"order-1:1","data":{"orderId":"1","to":17} } }""");

    private static IElement Button(IRenderedComponent<LetterView> page, string text) =>
        page.FindAll("button").Single(button => button.TextContent.Trim() == text);
}
