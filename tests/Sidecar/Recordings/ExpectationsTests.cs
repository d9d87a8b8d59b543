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
        var expected = Expectations.Expected(recording);

        Assert.NotEqual(Got(recording), Got(expected));
        Assert.All(Expectations.Deliberate[id].Instead ?? new Dictionary<int, JsonObject>(), instead =>
            Assert.False(JsonNode.DeepEquals(instead.Value, RecordedAt(instead.Key)), $"step {instead.Key} is as recorded"));

        static string Got(Recording one) => one.About + one.Start.ToJsonString() + string.Join('\n', one.Steps.Select(step => step.ToJsonString()));

        JsonNode? RecordedAt(int step) => step == 0 ? new JsonObject { ["calls"] = recording.Start.DeepClone() } : recording.Steps[step - 1]["got"];
    }

    [Fact]
    public void Every_listed_recording_exists_is_on_one_list_and_says_why()
    {
        Assert.Subset(Recording.AllIds.ToHashSet(), Expectations.NotBuilt.Keys.Concat(Expectations.Deliberate.Keys).ToHashSet());
        Assert.Empty(Expectations.NotBuilt.Keys.Intersect(Expectations.Deliberate.Keys));
        Assert.All(
            [.. Expectations.NotBuilt.Values, .. Expectations.Deliberate.Values.Select(entry => entry.Reason), .. Expectations.Files.Values.Select(entry => entry.Reason)],
            Assert.NotEmpty);
    }
}
