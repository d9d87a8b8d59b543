using EmbeddedSidecar.Api.PubSub;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Resources;

namespace DaprOrders.Sidecar.Tests.Resources;

/// <summary>A topic is its publisher's, and heard by its consumers alone, in every broker's folder.</summary>
public sealed class ShippedScopesTests
{
    private static readonly ResourceSet Common = ResourceLoader.Load([RepositoryFiles.PathOf("components", "common")]);

    private static readonly Dictionary<string, string> PublisherOf = new()
    {
        ["orders"] = "ordering",
        ["stock"] = "inventory",
        ["products"] = "inventory",
        ["payments"] = "payments",
        ["shipments"] = "shipping",
    };

    private static readonly string[] Apps = ["ordering", "inventory", "payments", "shipping", "reporting", "payment-provider", "stranger"];

    public static TheoryData<string> BrokerFolders => ShippedComponentsTests.BrokerFolders;

    private static IReadOnlyList<string> Topics => [.. PublisherOf.Keys, .. DeadLetterTopics];

    private static IEnumerable<string> DeadLetterTopics => Common.Subscriptions.Select(s => s.DeadLetterTopic).OfType<string>().Distinct();

    [Theory]
    [MemberData(nameof(BrokerFolders))]
    public void Only_the_owner_of_a_topic_publishes_there_and_whoever_fails_to_its_own_dead_letters(string folder)
    {
        var expected = PublisherOf.Select(topic => (App: topic.Value, Topic: topic.Key))
            .Concat(Common.Subscriptions.Where(s => s.DeadLetterTopic is not null).Select(s => (App: s.Scopes[0], Topic: s.DeadLetterTopic!)))
            .Distinct();

        Assert.Equal(expected.Order(), Allowed(folder, (scopes, topic) => scopes.MayPublish(topic)).Order());
    }

    [Theory]
    [MemberData(nameof(BrokerFolders))]
    public void Only_those_who_are_subscribed_may_subscribe(string folder)
    {
        var expected = Common.Subscriptions.SelectMany(s => s.Scopes, (s, app) => (App: app, s.Topic));

        Assert.Equal(expected.Order(), Allowed(folder, (scopes, topic) => scopes.MaySubscribe(topic)).Order());
    }

    private static IEnumerable<(string App, string Topic)> Allowed(string folder, Func<TopicScopes, string, bool> isAllowed)
    {
        var broker = ResourceLoader.Load([RepositoryFiles.PathOf("components", folder)]).Components.Single(c => c.Name == "pubsub");
        var metadata = new ComponentMetadata(broker, broker.Metadata.Select(item => new MetadataValue(item.Name, item.Value ?? "", item.Location)));
        return from app in Apps
               let scopes = new TopicScopes(metadata, app)
               from topic in Topics
               where isAllowed(scopes, topic)
               select (app, topic);
    }
}
