using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Resources;

/// <summary>What only the start finds out is told at the line of the field, and who does not find a server is told which one.</summary>
public sealed class LinesOfMistakesTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Nothing listens on port 1.</summary>
    [Theory]
    [InlineData("pubsub.kafka", "v1", "brokers", "127.0.0.1:1,127.0.0.1:2", "brokers: 127.0.0.1:1, 127.0.0.1:2")]
    [InlineData("pubsub.redis", "v1", "redisHost", "127.0.0.1:1", "redisHost: 127.0.0.1:1")]
    [InlineData("state.redis", "v1", "redisHost", "127.0.0.1:1", "redisHost: 127.0.0.1:1")]
    [InlineData("lock.redis", "v1", "redisHost", "127.0.0.1:1", "redisHost: 127.0.0.1:1")]
    [InlineData("configuration.redis", "v1", "redisHost", "127.0.0.1:1", "redisHost: 127.0.0.1:1")]
    [InlineData("pubsub.rabbitmq", "v1", "connectionString", "amqp://me:x,hidden@127.0.0.1:1", "connectionString: 127.0.0.1:1")]
    [InlineData("pubsub.jetstream", "v1", "natsURL", "nats://me:x,hidden@127.0.0.1:1,nats://127.0.0.1:2", "natsURL: 127.0.0.1:1, 127.0.0.1:2")]
    [InlineData("state.postgresql", "v2", "connectionString", "host=127.0.0.1 port=1 user=me password=a,hidden dbname=shop", "connectionString: host=127.0.0.1 port=1 dbname=shop")]
    [InlineData("state.postgresql", "v1", "connectionString", "postgres://me:hidden@127.0.0.1:1/shop", "connectionString: 127.0.0.1:1")]
    [InlineData("state.postgresql", "v2", "connectionString", "host=127.0.0.1 port=1 password='a, host=hidden'", "connectionString: host=127.0.0.1 port=1")]
    [InlineData("bindings.postgres", "v1", "url", "postgres://me:hidden,x@127.0.0.1:1/shop", "url: 127.0.0.1:1")]
    public async Task A_server_that_is_not_there_is_named_at_its_line_and_a_password_is_not(string type, string version, string field, string value, string expected)
    {
        using var folder = new ResourceFolder().With("x.yaml", $"""
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: x
            spec:
              type: {type}
              version: {version}
              initTimeout: 2s
              metadata:
              - name: {field}
                value: "{value}"
              - name: {(type == "pubsub.kafka" ? "authType" : "x-none")}
                value: none
            """);

        var e = await StartAsync(folder);

        Assert.Contains($"x.yaml:10: component x ({type}) ", e.Message, StringComparison.Ordinal);
        Assert.Contains($"({expected})", e.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("hidden", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("type: state.nothing", 6, "type 'state.nothing'")]
    [InlineData("type: pubsub.kafka", 6, "metadata field 'brokers' is required")]
    public async Task A_component_that_cannot_be_made_is_told_at_its_type(string type, int line, string expected)
    {
        using var folder = new ResourceFolder().With("x.yaml", $"apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: x\nspec:\n  {type}\n  version: v1\n");

        var e = await StartAsync(folder);

        Assert.Contains($"x.yaml:{line}: ", e.Message, StringComparison.Ordinal);
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_subscription_by_which_nothing_comes_is_told_at_the_field()
    {
        const string Subscription = "apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata:\n  name: one\nspec:\n  topic: orders\n  pubsubname: pubsub\n  routes: {default: /x}\n";
        using var folder = new ResourceFolder().With("x.yaml", $"{Subscription}---\n{Subscription.Replace("name: one", "name: two", StringComparison.Ordinal)}");
        var resources = ResourceLoader.Load([folder.Path]);

        var lost = ResourceChecks.CheckSubscriptions(resources, "app").Select(warning => (warning.Location.Line, warning.Message[..warning.Message.IndexOf(':', StringComparison.Ordinal)]));

        Assert.Equal([(7, "spec.pubsubname"), (15, "spec.topic"), (16, "spec.pubsubname")], lost);
    }

    private static Task<ResourceException> StartAsync(ResourceFolder folder) => Assert.ThrowsAsync<ResourceException>(async () =>
    {
        await using var dapr = await EmbeddedDapr.StartAsync(new() { Apps = [new() { AppId = "app" }], ResourcesPaths = [folder.Path] }, Cancellation);
    });
}
