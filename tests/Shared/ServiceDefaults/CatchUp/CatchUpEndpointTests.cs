using System.Text.Json;
using DaprOrders.ServiceDefaults.Topics;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.CatchUp;

public sealed class CatchUpEndpointTests
{
    [Fact]
    public async Task Given_a_log_that_is_dealt_with_then_its_position_is_told_with_the_topics_it_is_about()
    {
        await using var host = await StartAsync(app =>
        {
            app.MapTopic("letters", "post", (_, _) => Task.CompletedTask);
            app.MapTopic("cards", "post", (_, _) => Task.CompletedTask);
        });
        host.State.Put("catch-up|post|0", new { position = 7, owner = "somebody", beat = 1, earlier = 0, recoveries = 0 });

        var publisher = Assert.Single(Publishers(await host.GetAsync("/catch-up")));

        Assert.Equal("post", publisher.GetProperty("publisher").GetString());
        Assert.Equal(["cards", "letters"], publisher.GetProperty("topics").EnumerateArray().Select(topic => topic.GetString()));
        var lane = Assert.Single(publisher.GetProperty("lanes").EnumerateArray());
        Assert.Equal(("0", 7), (lane.GetProperty("lane").GetString(), lane.GetProperty("position").GetInt64()));
    }

    [Fact]
    public async Task Given_the_publisher_is_away_then_it_is_named_without_lanes()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        host.Publisher.IsAway = true;
        // Lanes that were named are remembered for a while.
        host.Time.Advance(TimeSpan.FromMinutes(1));

        var publisher = Assert.Single(Publishers(await host.GetAsync("/catch-up")));

        Assert.Empty(publisher.GetProperty("lanes").EnumerateArray());
    }

    private static JsonElement.ArrayEnumerator Publishers(JsonElement answer) => answer.GetProperty("publishers").EnumerateArray();
}
