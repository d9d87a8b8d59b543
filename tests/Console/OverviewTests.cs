using System.Net;
using Bunit;
using DaprOrders.Console.Calling;
using DaprOrders.Console.Overview;

namespace DaprOrders.Console.Tests;

public sealed class OverviewTests : ConsolePages
{
    [Fact]
    public void A_system_at_rest_is_said_to_be_well()
    {
        var page = Render<OverviewBoard>();

        Assert.Contains("All is well. No order is under way", page.Find(".verdict.good").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void A_service_that_is_away_is_named_and_the_others_are_shown()
    {
        foreach (var path in new[] { "healthz/ready", "dead-letters/counts", "event-log", "event-log/parked", "catch-up" })
            Played.Answer("payments", path, """{"errorCode":"ERR_DIRECT_INVOKE","message":"no connection"}""", HttpStatusCode.InternalServerError);
        Play("reporting", "summary", """{"orders":7,"byStatus":{"created":0,"stockReserved":0,"paid":0,"shipped":7,"cancelled":0},"sold":7,"revenue":[{"amount":70.00,"currency":"EUR"}]}""");

        var page = Render<OverviewBoard>();

        Assert.Contains("payments cannot be reached: no connection", page.Find(".verdict.bad").TextContent, StringComparison.Ordinal);
        Assert.Contains("7 orders in all", page.Markup, StringComparison.Ordinal);
        Assert.Equal(4, page.FindAll(".badge.s-Healthy").Count / 2);
    }

    [Fact]
    public void Where_all_are_healthy_and_nothing_could_be_read_nothing_is_said_to_be_well()
    {
        Render<OverviewBoard>();
        foreach (var asked in Played.Asked.Where(asked => asked.Path != "healthz/ready").ToList())
            Played.Answer(asked.App, asked.Path, """{"title":"Unauthorized","detail":"The token has expired."}""", HttpStatusCode.Unauthorized);

        var verdict = Render<OverviewBoard>().Find(".verdict.bad");

        Assert.Equal(
            Apps.All.Select(app => $"{app} does not take this sign-in: The token has expired."),
            verdict.QuerySelectorAll("li").Select(concern => concern.TextContent).OrderBy(text => Apps.All.ToList().FindIndex(app => text.StartsWith(app, StringComparison.Ordinal))));
        Assert.Equal("/sign-in", verdict.QuerySelector("a")!.GetAttribute("href"));
    }

    [Theory]
    [InlineData("ordering", "event-log")]
    [InlineData("payments", "event-log/parked")]
    [InlineData("shipping", "dead-letters/counts")]
    [InlineData("inventory", "catch-up")]
    [InlineData("reporting", "summary")]
    [InlineData("reporting", "orders?limit=200")]
    [InlineData("reporting", "projections")]
    public void Whatever_could_not_be_read_is_a_concern(string app, string path)
    {
        Played.Answer(app, path, """{"title":"Away","detail":"The store does not answer."}""", HttpStatusCode.ServiceUnavailable);

        var verdict = Render<OverviewBoard>().Find(".verdict.bad").TextContent;

        Assert.Contains($"{app} answered 503: The store does not answer.", verdict, StringComparison.Ordinal);
    }

    [Fact]
    public void That_Reporting_cannot_follow_the_logs_is_a_concern_with_since_when_and_why()
    {
        Play("reporting", "projections", """{"serving":{"version":1,"since":null,"events":0,"lanes":[]},"building":null,"failure":{"reason":"Nobody answers.","at":"2026-11-27T11:59:59Z","since":"2026-11-27T11:30:00Z","attempts":360}}""");

        Assert.Contains("Reporting cannot follow the event logs since 30 min: Nobody answers.", Render<OverviewBoard>().Find(".verdict.bad").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void Reporting_is_said_to_be_behind_where_the_alert_says_so()
    {
        Play("ordering", "event-log", """{"lanes":[{"name":"one","settled":1001,"isClosed":false}],"loss":null}""");

        Assert.Contains("reporting is 1,001 commits behind ordering", Render<OverviewBoard>().Find(".verdict.warn").TextContent, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("leftBehind", 3, "Lane one of payments is left behind by payments-1, with 3 commits unpublished")]
    [InlineData("held", 501, "Lane one of payments has 501 commits unpublished")]
    public void What_is_not_published_is_a_concern(string state, int unpublished, string concern)
    {
        Play("payments", "event-log", $$"""{"lanes":[{"name":"one","settled":4,"isClosed":false,"owner":"payments-1","state":"{{state}}","unpublished":{{unpublished}}}],"loss":null}""");

        Assert.Contains(concern, Render<OverviewBoard>().Find(".verdict.warn").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void A_consumer_that_cannot_ask_a_publisher_does_not_lag_by_nothing()
    {
        Play("shipping", "catch-up", """{"publishers":[{"publisher":"ordering","topics":["orders"],"lanes":[]}]}""");

        var page = Render<OverviewBoard>();

        Assert.Contains("How far shipping is behind ordering is not known", page.Find(".verdict.warn").TextContent, StringComparison.Ordinal);
        Assert.Contains("–", page.FindAll("tr").Single(row => row.TextContent.Contains("orders", StringComparison.Ordinal) && row.TextContent.StartsWith("shipping", StringComparison.Ordinal)).TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void An_order_that_is_stuck_among_thousands_is_found_page_by_page()
    {
        Play("reporting", "summary", Samples.Summary(paid: 1));
        Play("reporting", "orders?status=paid&limit=200", Samples.Page("7."));
        Play("reporting", "orders?status=paid&limit=200&cursor=7.", Samples.Page("3.", Samples.Listed("o-1", "paid", Now.AddHours(-3))));

        var page = Render<OverviewBoard>();

        Assert.Equal("/orders/o-1", page.Find(".verdict.warn li a").GetAttribute("href"));
        Assert.DoesNotContain(Played.Asked, asked => asked.Path.EndsWith("cursor=3.", StringComparison.Ordinal));
    }

    [Fact]
    public void An_open_order_that_is_not_found_is_said_to_be_missing()
    {
        Play("reporting", "summary", Samples.Summary(paid: 1));
        Play("reporting", "orders?status=paid&limit=200", Samples.Page("7."));
        Play("reporting", "orders?status=paid&limit=200&cursor=7.", Samples.Page("7."));

        var page = Render<OverviewBoard>();

        Assert.Contains("1 order is paid and older than all that were looked through", page.Find(".verdict.warn").TextContent, StringComparison.Ordinal);
        Assert.DoesNotContain("none is under way", page.Markup, StringComparison.Ordinal);
    }

    [Fact]
    public void Why_a_service_is_not_ready_is_told_though_it_answers_503()
    {
        Played.Answer("shipping", "healthz/ready", """{"status":"Unhealthy","checks":{"store":{"status":"Unhealthy","reason":"The state store takes no writes."}}}""", HttpStatusCode.ServiceUnavailable);

        var page = Render<OverviewBoard>();

        Assert.Contains("shipping is unhealthy: The state store takes no writes.", page.Find(".verdict").TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public void Dead_letters_are_counted_by_their_services_and_none_is_read()
    {
        Play("inventory", "dead-letters/counts", Samples.Counts("n", ("SKU … is unknown", 2000)));
        Play("inventory", "dead-letters/counts?cursor=n", Samples.Counts(null, ("SKU … is unknown", 500), ("Other", 3)));

        var page = Render<OverviewBoard>();

        Assert.Contains("2,503 dead letters wait for somebody", page.Find(".verdict.bad").TextContent, StringComparison.Ordinal);
        var groups = page.FindAll(".bars li.wide").Select(group => group.TextContent).ToList();
        Assert.Equal(2, groups.Count);
        Assert.Contains("inventory of orders: SKU … is unknown first 1 h ago, last 30 min ago", groups[0], StringComparison.Ordinal);
        Assert.EndsWith("2,500", groups[0], StringComparison.Ordinal);
        Assert.DoesNotContain(Played.Asked, asked => asked.Path.StartsWith("dead-letters?", StringComparison.Ordinal));
    }

    [Fact]
    public void Each_lane_shows_its_owner_its_lease_and_what_is_unpublished_and_parked()
    {
        Play("payments", "event-log", """
            {"lanes":[{"name":"one","settled":1200,"isClosed":false,"owner":"payments-1","state":"held","unpublished":3},
                      {"name":"two","settled":7,"isClosed":false,"owner":"payments-2","state":"leftBehind","unpublished":0}],"loss":null}
            """);
        Play("payments", "event-log/parked", $$"""{"events":[{{Parked("\"two\"")}},{{Parked("\"two\"")}},{{Parked("null")}}]}""");
        // As a service of an earlier version answers.
        Play("shipping", "event-log", """{"lanes":[{"name":"three","settled":5,"isClosed":true}],"loss":null}""");

        var rows = Render<OverviewBoard>().FindAll("[aria-label='Lanes of the event logs'] tbody tr").Select(row => string.Join("|", row.QuerySelectorAll("td").Select(cell => cell.TextContent))).ToList();

        Assert.Contains("payments|one|payments-1|held|1,200|3|0|–", rows);
        Assert.Contains("payments|two|payments-2|left behind|7|0|2|–", rows);
        Assert.Contains("payments|of lanes that are not known|1|–", rows);
        Assert.Contains("shipping|three|–|closed|5|–|0|–", rows);

        static string Parked(string lane) => $$"""{"id":"payment-1:1","topic":"payments","reason":"too large","parkedAt":"2026-11-27T11:00:00Z","lane":{{lane}}}""";
    }

    [Fact]
    public void The_board_goes_on_by_itself()
    {
        var page = Render<OverviewBoard>();
        Play("reporting", "summary", """{"orders":8,"byStatus":{"created":8},"sold":0,"revenue":[]}""");

        Time.Advance(TimeSpan.FromSeconds(3));

        page.WaitForAssertion(() => Assert.Contains("8 orders in all", page.Markup, StringComparison.Ordinal));
    }

    [Fact]
    public void How_far_each_consumer_is_behind_is_told_topic_by_topic()
    {
        Play("inventory", "event-log", """{"lanes":[{"name":"one","settled":30,"isClosed":false}],"loss":null}""");
        Play("ordering", "catch-up", """
            {"publishers":[{"publisher":"inventory","topics":["products","stock"],"lanes":[{"lane":"one","position":10}],
             "waiting":[{"topic":"products","events":0,"isAll":true},{"topic":"stock","events":12,"isAll":true}]}]}
            """);
        Play("shipping", "catch-up", """{"publishers":[{"publisher":"ordering","topics":["orders"],"lanes":[{"lane":"lane-1","position":0}],"waiting":[{"topic":"orders","events":900,"isAll":false}]}]}""");
        Play("reporting", "projections", """{"serving":{"version":1,"since":null,"events":0,"lanes":[{"publisher":"inventory","topic":"stock","lane":"one","position":29,"events":29}]},"building":null,"failure":null}""");

        var rows = Render<OverviewBoard>().FindAll("caption").Single(caption => caption.TextContent.StartsWith("How far consumers", StringComparison.Ordinal)).ParentElement!
            .QuerySelectorAll("tbody tr").Select(row => string.Join("|", row.QuerySelectorAll("td").Select(cell => cell.TextContent))).ToList();

        Assert.Equal(["shipping|orders|≥ 900|4", "ordering|stock|12|20", "ordering|products|0|20"], rows.Take(3));
        Assert.Contains("reporting|stock|–|1", rows);
    }

    [Fact]
    public void What_a_consumer_has_not_dealt_with_is_the_difference_to_the_heads_of_all_lanes()
    {
        var logs = new LanesOf[] { new("ordering", new(new Lanes([new("one", 10, false), new("two", 5, false)], null), null), new Dictionary<string, int>()) };
        var consumers = new ConsumersOf[] { new("shipping", new(new CatchUp([new("ordering", ["orders"], [new("one", 4), new("two", 5)])]), null)) };
        var read = new Answer<Projections>(new(new(1, null, 0, [new("ordering", "one", 9, 9)]), null, null), null);

        var lags = OverviewReader.LagsOf(logs, consumers, read);

        Assert.Equal([("shipping", 6), ("reporting", 1 + 5)], lags.Select(lag => (lag.Consumer, (int)lag.Commits!)));
        Assert.All(OverviewReader.LagsOf([logs[0] with { Lanes = new(null, new("ordering", null, "away")) }], consumers, read), lag => Assert.Null(lag.Commits));
    }
}
