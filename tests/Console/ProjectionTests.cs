using System.Net;
using Bunit;
using DaprOrders.Console.ReadModels;

namespace DaprOrders.Console.Tests;

/// <summary>How far the read models are: what cannot be known is not said.</summary>
public sealed class ProjectionTests : ConsolePages
{
    [Fact]
    public void Level_with_every_log_is_said_where_every_log_was_read()
    {
        PlayProjections(position: 4);

        Assert.Contains("level with every log", Render<ProjectionBoard>().Markup, StringComparison.Ordinal);
    }

    [Fact]
    public void While_a_publisher_is_away_nobody_says_level_with_every_log()
    {
        PlayProjections(position: 4);
        Played.Without("payments");

        var page = Render<ProjectionBoard>();

        Assert.Contains("payments cannot be reached", page.Find(".note.bad").TextContent, StringComparison.Ordinal);
        Assert.DoesNotContain("level with every log", page.Markup, StringComparison.Ordinal);
        Assert.Contains("level with the logs that could be read", page.Markup, StringComparison.Ordinal);
    }

    [Fact]
    public void While_Reporting_is_away_positions_and_lags_are_not_known()
    {
        Played.Without("reporting");

        var page = Render<ProjectionBoard>();

        Assert.Contains("reporting cannot be reached", page.Find(".note.bad").TextContent, StringComparison.Ordinal);
        Assert.All(page.FindAll("[aria-label=Lanes] tbody tr"), row => Assert.Equal(["4", "–", "–"], row.QuerySelectorAll("td").Skip(3).Select(cell => cell.TextContent)));
    }

    [Fact]
    public void A_failure_to_follow_says_since_when_and_how_often()
    {
        PlayProjections(position: 1, """{"reason":"Nobody answers.","at":"2026-11-27T11:59:59Z","since":"2026-11-27T11:30:00Z","attempts":360}""");

        var note = Render<ProjectionBoard>().Find(".note.bad").TextContent;

        Assert.Contains("Reporting cannot follow the logs, 360 times in a row, since 30 min: Nobody answers.", note, StringComparison.Ordinal);
    }

    [Fact]
    public void A_rebuild_that_is_refused_says_why()
    {
        PlayProjections(position: 4);
        Played.Answer("reporting", "projections/rebuild", """{"detail":"The store takes nothing."}""", HttpStatusCode.ServiceUnavailable, "POST");
        var page = Render<ProjectionBoard>();

        page.FindAll("button").Single(button => button.TextContent == "Rebuild …").Click();
        page.FindAll("button").Single(button => button.TextContent == "Yes, rebuild").Click();

        page.WaitForAssertion(() => Assert.Contains("reporting answered 503: The store takes nothing.", page.Find("[role=status]").TextContent, StringComparison.Ordinal));
    }

    private void PlayProjections(long position, string failure = "null")
    {
        var lanes = string.Join(",", Calling.Apps.Publishers.Select(app => $$"""{"publisher":"{{app}}","topic":"t","lane":"lane-1","position":{{position}},"events":{{position}}}"""));
        Play("reporting", "projections", $$"""{"serving":{"version":1,"since":null,"events":16,"lanes":[{{lanes}}]},"building":null,"failure":{{failure}}}""");
    }
}
