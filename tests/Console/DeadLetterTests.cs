using System.Net;
using Bunit;
using DaprOrders.Console.DeadLetters;
using DaprOrders.ServiceDefaults.DeadLetters;

namespace DaprOrders.Console.Tests;

public sealed class DeadLetterTests : ConsolePages
{
    [Theory]
    [InlineData("SKU 17 of order-0192a8f3e1d7 is unknown\n   at Somewhere", "SKU … of … is unknown")]
    [InlineData("No failure of this event is known here", "No failure of this event is known here")]
    public void Reasons_are_compared_without_what_is_particular_to_one(string error, string reason) => Assert.Equal(reason, FailureReasons.Of(error));

    [Fact]
    public void Of_very_many_groups_the_largest_are_drawn_and_how_many_there_are_is_said()
    {
        Play("inventory", "dead-letters?limit=500", Samples.Letters(
        [
            Samples.Letter("large-1", "order-1", "Zzz"), Samples.Letter("large-2", "order-2", "Zzz"),
            .. Enumerable.Range(0, 150).Select(i => Samples.Letter($"l-{i}", "order-1", $"Reason {(char)('a' + i % 26)}{(char)('a' + i / 26)}")),
        ]));

        var page = Render<DeadLetterBoard>();

        Assert.Equal(100, page.FindAll(".reason").Count);
        Assert.Equal("Zzz", page.Find(".reason").TextContent);
        Assert.Contains("The 100 largest of 151 groups", page.Markup, StringComparison.Ordinal);
        Assert.Contains("152 messages", page.Find(".head").TextContent, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("order-0192a8f3", "/orders/0192a8f3")]
    [InlineData("order-/elsewhere.example", null)]
    [InlineData("payment-1?cursor=2", null)]
    [InlineData("product-tea", null)]
    public void A_message_leads_to_an_order_only_where_it_names_one(string stream, string? page) => Assert.Equal(page, Calling.DeadLetter.PageOf(stream));

    [Fact]
    public void A_group_is_redriven_by_its_service_and_how_far_that_is_is_shown()
    {
        PlayThree();
        Played.Answer("inventory", "dead-letters/redrive/selected", Samples.Job("running", 0, 0), HttpStatusCode.Accepted, "POST");
        Play("inventory", "dead-letters/redrive", Samples.Job("running", 1, 0));
        var page = Render<DeadLetterBoard>();
        Assert.Equal(2, page.FindAll(".reason").Count);

        Button(page, "Redrive all 2").Click();
        page.WaitForAssertion(() => Assert.Contains("0 handled", page.Find(".confirm").TextContent, StringComparison.Ordinal));
        Assert.Equal("""{"ids":["a","b"]}""", Assert.Single(Played.Asked, asked => asked.Method == HttpMethod.Post).Body);
        Time.Advance(TimeSpan.FromSeconds(1));
        page.WaitForAssertion(() => Assert.Contains("1 handled", page.Find(".confirm").TextContent, StringComparison.Ordinal));
        Assert.Contains("goes on when you leave the page", page.Find(".confirm").TextContent, StringComparison.Ordinal);

        Play("inventory", "dead-letters/redrive", Samples.Job("done", 1, 1, "InvalidOperationException: Boom.\n   at Somewhere"));
        page.WaitForState(() =>
        {
            Time.Advance(TimeSpan.FromSeconds(1));
            return page.Find(".confirm").TextContent.Contains("is done", StringComparison.Ordinal);
        });

        Assert.Contains("1 handled, 1 failed and stay", page.Find(".confirm").TextContent, StringComparison.Ordinal);
        Assert.Equal("InvalidOperationException: Boom.", page.Find(".confirm .note.bad").TextContent);
    }

    [Fact]
    public void A_group_whose_service_is_at_another_redrive_is_told_so()
    {
        PlayThree();
        Played.Answer("inventory", "dead-letters/redrive/selected", """{"detail":"A redrive of other dead letters is under way here."}""", HttpStatusCode.Conflict, "POST");
        var page = Render<DeadLetterBoard>();

        Button(page, "Redrive all 2").Click();

        page.WaitForAssertion(() => Assert.Contains("is under way here", page.Find(".confirm .note.bad").TextContent, StringComparison.Ordinal));
        Assert.Contains("is done", page.Find(".confirm").TextContent, StringComparison.Ordinal);
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
    public void A_message_is_given_up_only_when_that_was_confirmed_with_the_reason_which_is_in_no_address()
    {
        PlayThree();
        Played.Answer("shipping", "dead-letters/c/discard", "", HttpStatusCode.NoContent, "POST");
        var page = Render<DeadLetterBoard>();

        Button(page, "Discard  …").Click();
        Assert.DoesNotContain(Played.Asked, asked => asked.Method == HttpMethod.Post);
        page.Find("#why").Change("a test order");
        Button(page, "Yes, give up").Click();

        page.WaitForAssertion(() => Assert.Contains("1 given up", page.Markup, StringComparison.Ordinal));
        Assert.Equal("""{"reason":"a test order"}""", Assert.Single(Played.Asked, asked => asked.Method == HttpMethod.Post).Body);
    }

    [Fact]
    public void A_message_of_a_group_leads_to_its_page()
    {
        PlayThree();
        var page = Render<DeadLetterBoard>();

        page.FindAll("button").Last(button => button.TextContent == "Show messages").Click();

        Assert.Equal("/dead-letters/shipping/c", page.Find(".letters td:last-child a").GetAttribute("href"));
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

        var page = Render<DeadLetterBoard>();

        Assert.Contains("The newest failure", page.Markup, StringComparison.Ordinal);
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
    public void Who_did_what_and_what_came_of_it_stays_to_be_seen_of_all_services_the_newest_first()
    {
        Play("payments", "dead-letters/acts?limit=50", Samples.Acts(
            Samples.Act("p-2", "discard", "givenUp", Now.AddMinutes(-1)), Samples.Act("p-1", "redrive", "failed", Now.AddMinutes(-3), "Boom: no such order\n   at Somewhere", done: 0, failed: 1)));
        Play("inventory", "dead-letters/acts?limit=50", Samples.Acts(
            Samples.Act("i-2", "redriveOfMany", "done", Now.AddMinutes(-2), "Boom", letters: 300, done: 298, failed: 2), Samples.Act("i-1", "redrive", "begun", Now.AddMinutes(-4), done: 0)));

        var rows = Render<DeadLetterBoard>().FindAll(".record tbody tr").Select(row => row.TextContent).ToList();

        Assert.Equal(["payments", "inventory", "payments", "inventory"], rows.Select(row => row.StartsWith("payments", StringComparison.Ordinal) ? "payments" : "inventory"));
        Assert.All(rows, row => Assert.Contains("ann", row, StringComparison.Ordinal));
        Assert.Contains("given up", rows[0], StringComparison.Ordinal);
        Assert.Contains("redrive of 300 messages", rows[1], StringComparison.Ordinal);
        Assert.Contains("298 handled, 2 failed again, the last: Boom", rows[1], StringComparison.Ordinal);
        Assert.Contains("failed: Boom: no such order", rows[2], StringComparison.Ordinal);
        Assert.DoesNotContain("Somewhere", rows[2], StringComparison.Ordinal);
        Assert.Contains("under way, or broken off", rows[3], StringComparison.Ordinal);
    }

    [Fact]
    public void Each_act_of_the_record_leads_to_its_page_and_each_service_to_all_of_its_acts()
    {
        Play("payments", "dead-letters/acts?limit=50", Samples.Acts(Samples.Act("p-1", "editedRedrive", "handled", Now)));

        var record = Render<DeadLetterBoard>().Find(".record");

        Assert.Equal("/dead-letters/payments/acts/p-1", record.QuerySelector("tbody a")!.GetAttribute("href"));
        Assert.Contains("/dead-letters/payments/acts", record.QuerySelectorAll("p a").Select(link => link.GetAttribute("href")));
    }

    private void PlayThree()
    {
        Play("inventory", "dead-letters?limit=500", Samples.Letters(Samples.Letter("a", "order-1", "SKU 1 is unknown"), Samples.Letter("b", "order-2", "SKU 2 is unknown")));
        Play("shipping", "dead-letters?limit=500", Samples.Letters(Samples.Letter("c", "order-3", "Other")));
    }

    private static AngleSharp.Dom.IElement Button(IRenderedComponent<DeadLetterBoard> page, string text) =>
        page.FindAll("button").Single(button => button.TextContent.Trim() == text);
}
