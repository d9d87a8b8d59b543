using DaprOrders.Sidecar.Tests.Recordings;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>
/// pubsub.sqlite is no type of daprd's. What is published and delivered over it, retries, dead letters and bulk envelopes are those that
/// daprd was recorded with on Redis; only what becomes of a message that failed for good is its own (it comes again).
/// </summary>
public sealed class SqlitePubSubPlaysRecordings
{
    [Theory]
    [InlineData("pubsub-publish")]
    [InlineData("pubsub-cloudevents")]
    [InlineData("pubsub-bulk-publish")]
    [InlineData("pubsub-publish-errors")]
    [InlineData("pubsub-raw")]
    [InlineData("pubsub-ttl")]
    [InlineData("early-programmatic")]
    [InlineData("early-declarative")]
    [InlineData("pubsub-scopes")]
    [InlineData("pubsub-two-apps")]
    [InlineData("pubsub-retry-dead-letter")]
    [InlineData("pubsub-answers-dead-letter")]
    [InlineData("pubsub-bulk-retry-dead-letter")]
    public async Task Delivers_as_daprd_does_over_redis(string scenario)
    {
        var recorded = Recording.Load("redis/" + scenario);

        var outcome = await RecordingPlays.PlayAsync(new("sqlite/" + scenario, recorded.Content.DeepClone().AsObject()), null, TestContext.Current.CancellationToken);

        Assert.True(outcome.IsAlike, $"{scenario} differs from what daprd did:{Environment.NewLine}{outcome}");
    }
}
