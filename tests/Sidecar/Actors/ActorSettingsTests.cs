using System.Text.Json;
using EmbeddedSidecar.Actors;

namespace DaprOrders.Sidecar.Tests.Actors;

/// <summary>What applications answer to GET /dapr/config is taken as far as it can be read, and what cannot be is told.</summary>
public sealed class ActorSettingsTests
{
    private readonly List<string> _told = [];

    [Fact]
    public void A_type_has_the_common_settings_or_its_own()
    {
        var settings = Read("""
            {"entities":["A","B"],"actorIdleTimeout":"10m","reentrancy":{"enabled":true,"maxStackDepth":5},
             "entitiesConfig":[{"entities":["B","unknown"],"drainOngoingCallTimeout":"7s","drainRebalancedActors":false}]}
            """);

        Assert.Equal(["A", "B"], settings.Keys.Order());
        Assert.Equal(ActorSettings.Default with { IdleTimeout = TimeSpan.FromMinutes(10), Reentrant = true, MaxStackDepth = 5 }, settings["A"]);
        Assert.Equal(settings["A"] with { DrainTimeout = TimeSpan.FromSeconds(7), DrainRebalanced = false }, settings["B"]);
        Assert.Empty(_told);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("\"T\"")]
    [InlineData("{}")]
    [InlineData("""{"entities":"T"}""")]
    [InlineData("""{"entities":[1,null,{}]}""")]
    public void Without_types_there_are_no_actors(string config) => Assert.Empty(Read(config));

    [Theory]
    [InlineData("\"actorIdleTimeout\":\"soon\"", "actorIdleTimeout is \"soon\"; expected a duration such as 1h or 0h10m0s0ms")]
    [InlineData("\"actorIdleTimeout\":\"-1s\"", "actorIdleTimeout is \"-1s\"; expected a duration such as 1h or 0h10m0s0ms")]
    [InlineData("\"drainOngoingCallTimeout\":\"99999999999999999999999999999h\"", "drainOngoingCallTimeout is \"99999999999999999999999999999h\"; expected a duration such as 1h or 0h10m0s0ms")]
    [InlineData("\"reentrancy\":{\"maxStackDepth\":1.5}", null)]
    [InlineData("\"reentrancy\":[]", null)]
    [InlineData("\"actorIdleTimeout\":5", null)]
    [InlineData("\"entitiesConfig\":[null,1,[],{\"entities\":{}}]", null)]
    public void Instead_of_what_cannot_be_used_the_default_is_taken(string setting, string? told)
    {
        var settings = Read($$"""{"entities":["T"],{{setting}}}""");

        Assert.Equal(ActorSettings.Default, settings["T"]);
        Assert.Equal(told is null ? [] : [told], _told);
    }

    private IReadOnlyDictionary<string, ActorSettings> Read(string config)
    {
        using var json = JsonDocument.Parse(config);
        return ActorSettings.Read(json.RootElement, _told.Add);
    }
}
