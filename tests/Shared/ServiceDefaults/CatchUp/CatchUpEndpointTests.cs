using System.Text.Json;
using DaprOrders.Doubles;
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
    public async Task Given_another_replica_follows_the_log_then_what_waits_of_each_topic_is_looked_up_behind_its_position()
    {
        var state = new StateInMemory();
        state.Put("catch-up|post|0", new { position = 1, owner = "somebody", beat = 1, earlier = 0, recoveries = 0 });
        await using var host = await StartAsync(state, app =>
        {
            app.MapTopic("letters", "post", (_, _) => Task.CompletedTask);
            app.MapTopic("cards", "post", (_, _) => Task.CompletedTask);
        });
        host.Publisher.Commit("a");
        host.Publisher.Commit("b");
        host.Publisher.Commit("c");
        host.Publisher.Commit("c");
        host.Publisher.Commit("d", topic: "elsewhere");
        await host.DeliverAsync("letters", CloudEvent("b", 1));

        var publisher = Assert.Single(Publishers(await host.GetAsync("/catch-up")));

        Assert.Equal(
            [("cards", 0, true), ("letters", 2, true)],
            publisher.GetProperty("waiting").EnumerateArray().Select(topic => (topic.GetProperty("topic").GetString()!, topic.GetProperty("events").GetInt32(), topic.GetProperty("isAll").GetBoolean())));
    }

    [Fact]
    public async Task Given_more_than_one_page_of_a_log_then_so_many_wait_at_least()
    {
        var state = new StateInMemory();
        state.Put("catch-up|post|0", new { position = 0, owner = "somebody", beat = 1, earlier = 0, recoveries = 0 });
        await using var host = await StartAsync(state, app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        for (var i = 0; i < 1001; i++)
            host.Publisher.Commit($"s{i}");

        var waiting = Assert.Single(Assert.Single(Publishers(await host.GetAsync("/catch-up"))).GetProperty("waiting").EnumerateArray());

        Assert.Equal((1000, false), (waiting.GetProperty("events").GetInt32(), waiting.GetProperty("isAll").GetBoolean()));
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
        Assert.Equal(JsonValueKind.Null, publisher.GetProperty("waiting").ValueKind);
    }

    private static JsonElement.ArrayEnumerator Publishers(JsonElement answer) => answer.GetProperty("publishers").EnumerateArray();
}
