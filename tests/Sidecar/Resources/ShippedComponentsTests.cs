using DaprOrders.Sidecar.Launcher;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Resources;

/// <summary>What must hold of components/ so that Dapr loses no message and bulk delivery is fast, whichever broker is chosen.</summary>
public sealed class ShippedComponentsTests
{
    private const string DeadLetters = "-deadletters";

    private static readonly ResourceSet Common = ResourceLoader.Load([RepositoryFiles.PathOf("components", "common")]);

    public static TheoryData<string> BrokerFolders =>
        [.. Directory.GetDirectories(RepositoryFiles.PathOf("components")).Select(f => Path.GetFileName(f)!).Where(f => f != "common")];

    public static TheoryData<string> ConsumedTopics => [.. Common.Subscriptions.Where(s => !IsDeadLetter(s)).Select(s => s.Name)];

    public static TheoryData<string, string> Consumers => new()
    {
        { "ordering", "payments products shipments stock" },
        { "inventory", "orders" },
        { "payments", "orders" },
        { "shipping", "orders" },
        { "reporting", "orders" },
    };

    [Theory]
    [MemberData(nameof(Consumers))]
    public void Every_service_hears_of_what_it_consumes_and_of_its_dead_letters(string app, string topics)
    {
        var subscriptions = Common.Subscriptions.Where(s => s.Scopes.Contains(app)).ToList();

        Assert.Equal(topics.Split(' '), subscriptions.Where(s => !IsDeadLetter(s)).Select(s => s.Topic).Order(StringComparer.Ordinal));
        Assert.Equal([app + DeadLetters], subscriptions.Where(IsDeadLetter).Select(s => s.Topic));
    }

    [Theory]
    [MemberData(nameof(ConsumedTopics))]
    public void A_subscription_is_bulk_scoped_and_has_the_dead_letter_topic_of_its_service(string name)
    {
        var subscription = Common.Subscriptions.Single(s => s.Name == name);

        var app = Assert.Single(subscription.Scopes);
        Assert.Equal(app + DeadLetters, subscription.DeadLetterTopic);
        Assert.Equal([new RouteRule("", $"/events/{subscription.Topic}")], subscription.Rules);
        Assert.NotNull(subscription.Bulk);
        Assert.True(subscription.Bulk.Enabled);
        Assert.InRange(subscription.Bulk.MaxAwaitDurationMs, 1, 20);
    }

    /// <summary>Under one daprd forgets refusals within a bulk save (pkg/components/state/bulk.go, 1.18): see docs/stores.md.</summary>
    [Fact]
    public void Writes_to_a_component_are_not_retried_by_policy()
    {
        Assert.All(Common.Resiliencies, resiliency =>
        {
            Assert.All(resiliency.Components.Values, component => Assert.Null(component.Outbound));
            Assert.DoesNotContain(resiliency.Retries.Keys, name => name.StartsWith("Default", StringComparison.Ordinal));
        });
    }

    [Fact]
    public void Dead_letters_are_taken_one_by_one_and_have_no_dead_letter_topic_of_their_own()
    {
        foreach (var subscription in Common.Subscriptions.Where(IsDeadLetter))
        {
            Assert.Equal([subscription.Topic[..^DeadLetters.Length]], subscription.Scopes);
            Assert.Equal([new RouteRule("", "/events/dead-letters")], subscription.Rules);
            Assert.Null(subscription.DeadLetterTopic);
            Assert.Null(subscription.Bulk);
        }
    }

    [Fact]
    public void Every_subscription_is_retried_for_a_while_and_not_for_ever()
    {
        foreach (var subscription in Common.Subscriptions)
            Assert.InRange(LongestRound(subscription.PubSubName), TimeSpan.FromSeconds(10), TimeSpan.FromSeconds(60));
    }

    [Theory]
    [MemberData(nameof(BrokerFolders))]
    public void A_folder_offers_the_state_store_and_the_broker_under_the_names_the_services_use(string folder)
    {
        var components = Load(folder).Components;

        var store = Assert.Single(components, c => c.Name == "statestore");
        Assert.StartsWith("state.", store.Type, StringComparison.Ordinal);
        Assert.Equal("true", Field(store, "actorStateStore"));
        var broker = Assert.Single(components, c => c.Name == "pubsub");
        Assert.StartsWith("pubsub.", broker.Type, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(BrokerFolders))]
    public void A_broker_hands_over_as_many_messages_at_once_as_a_batch_takes(string folder)
    {
        var broker = Load(folder).Components.Single(c => c.Name == "pubsub");
        var largestBatch = Common.Subscriptions.Max(s => s.Bulk?.MaxMessagesCount ?? 1);

        switch (broker.Type)
        {
            case "pubsub.redis":
                Assert.True(Number(broker, "concurrency") >= largestBatch, "concurrency is below maxMessagesCount");
                Assert.True(Number(broker, "queueDepth") >= largestBatch, "queueDepth is below maxMessagesCount");
                break;
            case "pubsub.jetstream":
                // In parallel daprd acknowledges before an event is handled: rather one at a time, which the embedded sidecar gathers.
                Assert.Equal("single", Field(broker, "concurrencyMode"));
                Assert.True(Number(broker, "maxAckPending") >= largestBatch, "maxAckPending is below maxMessagesCount");
                Assert.False(string.IsNullOrEmpty(Field(broker, "durableName")));
                Assert.False(string.IsNullOrEmpty(Field(broker, "queueGroupName")));
                break;
            case "pubsub.rabbitmq":
                Assert.True(Number(broker, "prefetchCount") >= largestBatch, "prefetchCount is below maxMessagesCount");
                Assert.Equal("false", Field(broker, "deletedWhenUnused"));
                Assert.Equal("2", Field(broker, "deliveryMode"));
                break;
            case "pubsub.kafka":
                // What waits for a partition is there at once; a new group begins with what was published before it.
                Assert.Equal("oldest", Field(broker, "initialOffset"));
                Assert.Equal("true", Field(broker, "consumeRetryEnabled"));
                break;
            case "pubsub.sqlite":
                break;
            default:
                Assert.Fail($"Say here what bulk delivery needs of {broker.Type}.");
                break;
        }
    }

    [Theory]
    [MemberData(nameof(BrokerFolders))]
    public void A_broker_hands_a_message_out_again_only_after_its_longest_round_of_retries(string folder)
    {
        var broker = Load(folder).Components.Single(c => c.Name == "pubsub");
        if (broker.Type == "pubsub.redis")
        {
            Assert.True(Number(broker, "processingTimeout") > LongestRound(broker.Name).TotalMilliseconds, "processingTimeout is too short");
            Assert.InRange(Number(broker, "redeliverInterval"), 1, Number(broker, "processingTimeout"));
        }
        else if (broker.Type == "pubsub.jetstream")
        {
            Assert.True(GoDuration.TryParse(Field(broker, "ackWait"), out var ackWait) && ackWait > LongestRound(broker.Name), "ackWait is too short");
        }
    }

    /// <summary>With the run file, the configuration and what every application may see: no mistake, and nothing to warn of.</summary>
    [Theory]
    [MemberData(nameof(BrokerFolders))]
    public void A_folder_passes_strict(string folder)
    {
        var plan = LaunchPlan.Read(new LaunchOptions
        {
            RunFile = RepositoryFiles.PathOf("dapr.yaml"),
            ResourcesPath = RepositoryFiles.PathOf("components", folder),
            Strict = true,
        });

        Assert.Empty(plan.Warnings);
        Assert.All(plan.Sidecars, sidecar => Assert.Contains(RepositoryFiles.PathOf("components", folder), sidecar.ResourcesPaths));
    }

    /// <summary>Every attempt runs into the timeout, every wait is as long as the jitter of a half allows (kit/retry: 500 ms, times 1.5).</summary>
    private static TimeSpan LongestRound(string pubsub)
    {
        var resiliency = Assert.Single(Common.Resiliencies);
        var inbound = resiliency.Components[pubsub].Inbound;
        Assert.NotNull(inbound?.Retry);
        Assert.NotNull(inbound.Timeout);
        var retry = resiliency.Retries[inbound.Retry];
        Assert.Equal(RetryPolicyKind.Exponential, retry.Kind);
        Assert.InRange(retry.MaxRetries, 3, 20);

        var waits = Enumerable.Range(0, retry.MaxRetries).Sum(i => 1.5 * Math.Min(retry.MaxInterval.TotalSeconds, 0.5 * Math.Pow(1.5, i)));
        return resiliency.Timeouts[inbound.Timeout] * (retry.MaxRetries + 1) + TimeSpan.FromSeconds(waits);
    }

    private static bool IsDeadLetter(SubscriptionResource subscription) => subscription.Topic.EndsWith(DeadLetters, StringComparison.Ordinal);

    private static ResourceSet Load(string folder) =>
        ResourceLoader.Load([RepositoryFiles.PathOf("components", "common"), RepositoryFiles.PathOf("components", folder)]);

    private static string? Field(ComponentResource component, string name) => component.Metadata.FirstOrDefault(m => m.Name == name)?.Value;

    private static int Number(ComponentResource component, string name) => int.TryParse(Field(component, name), out var number) ? number : 0;
}
