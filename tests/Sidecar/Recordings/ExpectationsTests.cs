using System.Text.Json.Nodes;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>What is expected instead must be something else, of something that is played.</summary>
public sealed class ExpectationsTests
{
    private static readonly Expectations Expectations = Expectations.OfTheEmbeddedSidecar;

    public static TheoryData<string> Deliberate => [.. Expectations.Deliberate.Keys];

    [Theory]
    [MemberData(nameof(Deliberate))]
    public void A_deliberate_difference_differs_from_the_recording(string id)
    {
        var recording = Recording.Load(id);
        var steps = Expectations.Expected(recording).Steps.Zip(recording.Steps);

        Assert.Contains(steps, pair => !JsonNode.DeepEquals(pair.First["got"], pair.Second["got"]));
        Assert.All(Expectations.Deliberate[id].Instead ?? new Dictionary<int, JsonObject>(), instead =>
            Assert.False(JsonNode.DeepEquals(instead.Value, recording.Steps[instead.Key - 1]["got"]), $"step {instead.Key} is as recorded"));
    }

    [Fact]
    public void Every_listed_recording_exists_is_on_one_list_and_says_why()
    {
        var listed = Expectations.NotBuilt.Concat(Expectations.Known).ToList();

        Assert.Subset(Recording.AllIds.ToHashSet(), listed.Select(entry => entry.Key).Concat(Expectations.Deliberate.Keys).ToHashSet());
        Assert.Empty(Expectations.NotBuilt.Keys.Intersect(Expectations.Known.Keys.Concat(Expectations.Deliberate.Keys)));
        Assert.All(listed.Select(entry => entry.Value).Concat(Expectations.Deliberate.Values.Select(entry => entry.Reason)), Assert.NotEmpty);
    }
}
