using System.Net;
using Bunit;
using DaprOrders.Console.Topology;

namespace DaprOrders.Console.Tests;

public sealed class TopologyTests : ConsolePages
{
    private static readonly TimeSpan Refresh = TimeSpan.FromSeconds(3);

    [Fact]
    public async Task Calls_are_drawn_and_listed_with_how_many_there_are_in_a_second()
    {
        Play("ordering", "traffic", Traffic("ordering-1", called: """{"inventory":10}""", calledBy: """{"console":5,"payments":3}"""));
        Play("payments", "traffic", Traffic("payments-1", called: """{"payment-provider-api":7}"""));
        var page = Render<TopologyBoard>();
        Assert.Equal(["ordering|inventory|–", "payments|payment-provider-api|–", "console|ordering|–"], Rows(page, "calls"));

        Play("ordering", "traffic", Traffic("ordering-1", called: """{"inventory":16}""", calledBy: """{"console":8,"payments":4}"""));
        Time.Advance(Refresh);

        // That payments calls ordering is for the sidecar of payments to say, which is asked.
        await page.WaitForAssertionAsync(() => Assert.Equal(["ordering|inventory|2", "payments|payment-provider-api|0", "console|ordering|1"], Rows(page, "calls")));
        var picture = page.Find("[aria-label='Picture of the calls'] svg");
        Assert.Equal(3, picture.QuerySelectorAll("path.edge").Length);
        Assert.Equal(2, picture.QuerySelectorAll("path.edge.busy").Length);
        Assert.Contains("2/s", picture.TextContent, StringComparison.Ordinal);
        Assert.Contains("payment-provider-api", picture.TextContent, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Deliveries_are_drawn_and_listed_with_how_many_events_there_are_in_a_second()
    {
        Play("shipping", "sidecar", """{"id":"shipping","subscriptions":[{"pubsubName":"pubsub","topic":"orders","deadLetterTopic":"dead"},{"pubsubName":"pubsub","topic":"dead"}]}""");
        Play("shipping", "catch-up", """{"publishers":[{"publisher":"ordering","topics":["orders"],"lanes":[]}]}""");
        var page = Render<TopologyBoard>();

        Play("ordering", "traffic", Traffic("ordering-1", published: """{"orders":12}"""));
        Play("shipping", "traffic", Traffic("shipping-1", delivered: """{"orders":6,"dead":3}"""));
        Time.Advance(Refresh);

        await page.WaitForAssertionAsync(() => Assert.Equal(["orders|ordering|4|shipping|2"], Rows(page, "deliveries")));
        var picture = page.Find("[aria-label='Picture of the topics'] svg");
        Assert.Equal(2, picture.QuerySelectorAll("path.edge.busy").Length);
        Assert.Contains("4 events/s", picture.TextContent, StringComparison.Ordinal);
        Assert.Contains("2/s", picture.TextContent, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("catch-up")]
    [InlineData("event-log")]
    public void Of_a_service_that_says_all_but_how_far_logs_are_the_reason_is_said(string path)
    {
        Played.Answer("payments", path, """{"detail":"The store does not answer."}""", HttpStatusCode.ServiceUnavailable);

        Assert.Equal("payments answered 503: The store does not answer.", Render<TopologyBoard>().Find(".note.bad").TextContent);
    }

    [Fact]
    public void Of_a_sidecar_that_does_not_count_the_reason_is_said_and_its_calls_are_drawn_without_rates()
    {
        Play("payments", "sidecar", """{"id":"payments","subscriptions":[],"httpEndpoints":[{"name":"payment-provider-api"}]}""");
        Play("payments", "catch-up", """{"publishers":[{"publisher":"ordering","topics":["orders"],"lanes":[]}]}""");
        Play("payments", "traffic", """{"instance":"payments-1","calls":null,"silent":"The sidecar of payments does not tell its calls: Connection refused","published":{},"delivered":{}}""");

        var page = Render<TopologyBoard>();

        Assert.Contains("The sidecar of payments does not tell its calls: Connection refused", page.Find("[aria-label='Calls'] .note").TextContent, StringComparison.Ordinal);
        Assert.Equal(["payments|ordering|–", "payments|payment-provider-api|–"], Rows(page, "calls"));
    }

    [Fact]
    public void Each_replica_counts_for_itself_and_a_service_does_what_all_of_them_do()
    {
        var rates = new TrafficRates();

        rates.Take(State(0, "a", 100));
        rates.Take(State(3, "b", 5000));
        Assert.Null(Orders(rates));
        rates.Take(State(6, "a", 106));
        Assert.Equal(1, Orders(rates));
        rates.Take(State(9, "b", 5012));

        Assert.Equal(3, Orders(rates));
    }

    [Fact]
    public void A_replica_that_was_started_anew_has_done_nothing_backwards()
    {
        var rates = new TrafficRates();

        rates.Take(State(0, "a", 100));
        rates.Take(State(3, "a", 2));
        Assert.Null(Orders(rates));
        rates.Take(State(6, "a", 8));

        Assert.Equal(2, Orders(rates));
    }

    [Fact]
    public void A_replica_that_is_gone_does_nothing_more()
    {
        var rates = new TrafficRates();

        rates.Take(State(0, "a", 100));
        rates.Take(State(3, "a", 106));
        rates.Take(State(64, "b", 1));

        Assert.Null(Orders(rates));
    }

    private static double? Orders(TrafficRates rates) => rates.Delivered("shipping", "orders");

    private static TopologyState State(int second, string instance, long delivered) => new(
        Now.AddSeconds(second),
        [
            new("shipping", default, default, new(new Traffic(instance, null, null, new Dictionary<string, long>(), new Dictionary<string, long> { ["orders"] = delivered }), null), null),
        ],
        [],
        [],
        []);

    private static string Traffic(string instance, string called = "{}", string calledBy = "{}", string published = "{}", string delivered = "{}") =>
        $$"""{"instance":"{{instance}}","calls":{"called":{{called}},"calledBy":{{calledBy}}},"silent":null,"published":{{published}},"delivered":{{delivered}}}""";

    private static List<string> Rows(IRenderedComponent<TopologyBoard> page, string table) =>
        [.. page.FindAll($".scroll[aria-label='Table of the {table}'] tbody tr").Select(row => string.Join('|', row.QuerySelectorAll("td").Select(cell => cell.TextContent)))];
}
