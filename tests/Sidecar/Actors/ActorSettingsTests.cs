using System.Text.Json;
using EmbeddedSidecar.Actors;

namespace DaprOrders.Sidecar.Tests.Actors;

/// <summary>What applications answer to GET /dapr/config is read as daprd does, and what keeps their actors away is told.</summary>
public sealed class ActorSettingsTests
{
    private readonly List<string> _told = [];

    [Fact]
    public void A_type_has_the_common_settings_or_its_own_and_of_the_common_ones_then_only_those_of_draining()
    {
        var settings = Read("""
            {"entities":["A","B","C"],"actorIdleTimeout":"10m","drainOngoingCallTimeout":"4s","drainRebalancedActors":false,"reentrancy":{"enabled":true,"maxStackDepth":5},
             "entitiesConfig":[{"entities":["B","unknown"],"drainOngoingCallTimeout":"7s","drainRebalancedActors":true},{"entities":["C"],"actorIdleTimeout":"1m"}]}
            """);

        Assert.Equal(["A", "B", "C"], settings.Keys.Order());
        var draining = ActorSettings.Default with { DrainTimeout = TimeSpan.FromSeconds(4), DrainRebalanced = false };
        Assert.Equal(draining with { IdleTimeout = TimeSpan.FromMinutes(10), Reentrant = true, MaxStackDepth = 5 }, settings["A"]);
        Assert.Equal(draining with { DrainTimeout = TimeSpan.FromSeconds(7) }, settings["B"]);
        Assert.Equal(draining with { IdleTimeout = TimeSpan.FromMinutes(1) }, settings["C"]);
        Assert.Empty(_told);
    }

    [Fact]
    public void Names_are_read_without_case_and_null_is_nothing()
    {
        var settings = Read("""{"Entities":["T"],"ACTORIDLETIMEOUT":"10m","reentrancy":null,"drainRebalancedActors":null,"entitiesConfig":[null]}""");

        Assert.Equal(ActorSettings.Default with { IdleTimeout = TimeSpan.FromMinutes(10) }, settings["T"]);
        Assert.Empty(_told);
    }

    [Theory]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("\"T\"")]
    [InlineData("{}")]
    [InlineData("""{"entities":[]}""")]
    public void Without_types_there_are_no_actors(string config) => Assert.Empty(Read(config));

    /// <summary>Go's decoder then gives the whole answer up, and a common time that is none keeps daprd from hosting.</summary>
    [Theory]
    [InlineData("\"actorIdleTimeout\":\"soon\"", "actorIdleTimeout is \"soon\"; expected a duration such as 1h or 0h10m0s0ms")]
    [InlineData("\"actorIdleTimeout\":\"-1s\"", "actorIdleTimeout is \"-1s\"; expected a duration such as 1h or 0h10m0s0ms")]
    [InlineData("\"drainOngoingCallTimeout\":\"99999999999999999999999999999h\"", "drainOngoingCallTimeout is \"99999999999999999999999999999h\"; expected a duration such as 1h or 0h10m0s0ms")]
    [InlineData("\"actorIdleTimeout\":3600", "expected a text in 'actorIdleTimeout', got number")]
    [InlineData("\"drainRebalancedActors\":\"true\"", "expected true or false in 'drainRebalancedActors', got string")]
    [InlineData("\"reentrancy\":{\"maxStackDepth\":1.5}", "expected a whole number in 'maxStackDepth', got number")]
    [InlineData("\"reentrancy\":[]", "expected an object in 'reentrancy', got array")]
    [InlineData("\"entitiesConfig\":{}", "expected a list in 'entitiesConfig', got object")]
    [InlineData("\"entitiesConfig\":[1]", "expected an object in 'entitiesConfig', got number")]
    [InlineData("\"entitiesConfig\":[{\"entities\":\"U\"}]", "expected a list in 'entities', got string")]
    [InlineData("\"entitiesConfig\":[{\"entities\":[1]}]", "expected a text in 'entities', got number")]
    public void With_what_cannot_be_read_no_actors_are_hosted(string setting, string told)
    {
        Assert.Empty(Read($$"""{"entities":["T"],{{setting}}}"""));

        Assert.Equal([$"{told}. No actors are hosted"], _told);
    }

    [Fact]
    public void Instead_of_a_time_of_one_type_that_is_none_the_default_is_taken()
    {
        var settings = Read("""{"entities":["T"],"actorIdleTimeout":"10m","entitiesConfig":[{"entities":["T"],"actorIdleTimeout":"soon"}]}""");

        Assert.Equal(ActorSettings.Default, settings["T"]);
        Assert.Equal(["actorIdleTimeout is \"soon\"; expected a duration such as 1h or 0h10m0s0ms. The default is used"], _told);
    }

    private IReadOnlyDictionary<string, ActorSettings> Read(string config)
    {
        using var json = JsonDocument.Parse(config);
        return ActorSettings.Read(json.RootElement, _told.Add);
    }
}
