using System.Globalization;
using System.Text.RegularExpressions;
using k8s.Models;

namespace DaprOrders.Deploy.Tests;

/// <summary>Replicas by the processor, or by what waits in the broker as well: one of the two for every service.</summary>
public sealed class ScalingTests
{
    /// <summary>What KEDA 2.21 reads of a trigger's metadata, and what of it must be there. It passes over what it does not know.</summary>
    private static readonly Dictionary<string, (string[] Required, string[] Optional)> Known = new(StringComparer.Ordinal)
    {
        ["cpu"] = (["value"], ["containerName"]),
        ["rabbitmq"] =
            (["queueName", "mode", "value"],
            ["host", "hostFromEnv", "protocol", "vhostName", "activationValue", "usernameFromEnv", "passwordFromEnv", "unsafeSsl", "timeout", "useRegex", "pageSize", "operation", "excludeUnacknowledged"]),
        ["kafka"] =
            (["bootstrapServers", "consumerGroup", "topic", "lagThreshold", "offsetResetPolicy", "version", "sasl", "tls"],
            ["activationLagThreshold", "allowIdleConsumers", "scaleToZeroOnInvalidOffset", "excludePersistentLag", "limitToPartitionsWithLag", "ensureEvenDistributionOfPartitions", "fullMetadata", "partitionLimitation", "unsafeSsl"]),
        ["nats-jetstream"] = (["natsServerMonitoringEndpoint", "account", "stream", "consumer", "lagThreshold"], ["activationLagThreshold", "useHttps"]),
        ["redis-streams"] =
            (["address", "stream", "consumerGroup", "lagCount", "activationLagCount"],
            ["usernameFromEnv", "passwordFromEnv", "enableTLS", "unsafeSsl", "databaseIndex"]),
    };

    public static TheoryData<string> Overlays => [.. Overlay.Names];

    public static TheoryData<string> KedaOverlays => [.. Overlay.Names.Where(name => name.EndsWith("-keda", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Overlays))]
    public void Every_service_is_scaled_by_one_that_says_how_many_and_the_manifest_does_not(string name)
    {
        var overlay = Overlay.Of(name);
        var autoscaled = overlay.All<V2HorizontalPodAutoscaler>().Select(h => (h.Spec.ScaleTargetRef.Name, h.Spec.MinReplicas ?? 1, h.Spec.MaxReplicas))
            .Concat(ScaledObject.AllOf(overlay).Select(s => (s.Spec.ScaleTargetRef.Name, s.Spec.MinReplicaCount, s.Spec.MaxReplicaCount))).ToList();

        // With replicas of its own, every apply would undo what the autoscaler did. Of the console there is one: its pages live in a process.
        Assert.All(overlay.Applications, app => Assert.Equal(app.Key == Overlay.Console ? 1 : null, app.Value.Spec.Replicas));
        Assert.Equal(name == Overlay.Try ? [] : overlay.Applications.Keys.Except([Overlay.Console]).Order(StringComparer.Ordinal), autoscaled.Select(s => s.Name).Order(StringComparer.Ordinal));
        Assert.All(autoscaled, s => Assert.True(s.Item2 >= 2 && s.Item3 > s.Item2, $"{s.Name}: {s.Item2} to {s.Item3} replicas"));
    }

    /// <summary>Of a pod without requests for each of its containers there is no percentage.</summary>
    [Theory]
    [MemberData(nameof(Overlays))]
    public void Service_and_sidecar_say_what_they_need_of_the_processor(string name) =>
        Assert.All(Overlay.Of(name).Applications.Values, app =>
        {
            Assert.Contains("cpu", Assert.Single(app.Spec.Template.Spec.Containers).Resources.Requests.Keys);
            Assert.Contains("dapr.io/sidecar-cpu-request", app.Spec.Template.Metadata.Annotations.Keys);
        });

    [Theory]
    [MemberData(nameof(KedaOverlays))]
    public void Every_topic_that_a_service_consumes_is_watched_where_its_broker_counts(string name)
    {
        var overlay = Overlay.Of(name);
        var broker = Overlay.Text(overlay.OfKind("Component").Single(c => Overlay.Text(c["metadata"]!["name"]) == "pubsub")["spec"]!["type"]);
        var consumed = overlay.OfKind("Subscription").Select(s => (App: Overlay.Text(s["scopes"]!.AsArray().Single()), Topic: Overlay.Text(s["spec"]!["topic"])))
            .Where(s => !s.Topic.EndsWith("-deadletters", StringComparison.Ordinal)).Order().ToList();

        var watched = ScaledObject.AllOf(overlay)
            .SelectMany(s => s.Spec.Triggers.Where(t => t.Type != "cpu").Select(t => (App: s.Spec.ScaleTargetRef.Name, Topic: TopicOf(t, s.Spec.ScaleTargetRef.Name, broker)))).Order();

        Assert.Equal(consumed, watched);
    }

    [Theory]
    [MemberData(nameof(KedaOverlays))]
    public void A_trigger_says_what_KEDA_reads_and_asks_the_server_of_the_component(string name)
    {
        var overlay = Overlay.Of(name);
        var broker = Components.FieldsOf(overlay.OfKind("Component").Single(c => Overlay.Text(c["metadata"]!["name"]) == "pubsub"));

        Assert.All(ScaledObject.AllOf(overlay).SelectMany(s => s.Spec.Triggers), trigger =>
        {
            var (required, optional) = Known[trigger.Type];
            Assert.Subset(required.Concat(optional).ToHashSet(), trigger.Metadata.Keys.ToHashSet());
            Assert.Superset(required.ToHashSet(), trigger.Metadata.Keys.ToHashSet());
            switch (trigger.Type)
            {
                case "kafka":
                    Assert.Equal(broker["brokers"], $"value {trigger.Metadata["bootstrapServers"]}");
                    Assert.Equal((broker["version"], "value SHA-512", "scram_sha512"), ($"value {trigger.Metadata["version"]}", broker["saslMechanism"], trigger.Metadata["sasl"]));
                    break;
                case "redis-streams":
                    Assert.Equal(broker["redisHost"], $"value {trigger.Metadata["address"]}");
                    break;
                case "nats-jetstream":
                    // Its monitoring, which has another port than its clients.
                    Assert.Equal(new Uri(SecretsScript.Servers["NATS_URL"]).Host + ":8222", trigger.Metadata["natsServerMonitoringEndpoint"]);
                    break;
                case "rabbitmq":
                    var host = TriggerAuthentication.AllOf(overlay).Single(a => a.Metadata.Name == trigger.AuthenticationRef!.Name).Spec.SecretTargetRef.Single(secret => secret.Parameter == "host");
                    Assert.Equal(broker["connectionString"], $"secret {host.Name}/{host.Key}");
                    break;
            }
        });
    }

    /// <summary>While all services are rolled out at their most: one replica more of each comes before an old one goes, and one that ends keeps its connections so long.</summary>
    [Fact]
    public void The_pages_ask_PostgreSQL_for_as_many_connections_as_all_replicas_and_those_that_come_and_go_open()
    {
        Assert.All(Overlay.Names.Where(name => name.Contains("postgresql", StringComparison.Ordinal)), name =>
        {
            var overlay = Overlay.Of(name);
            var store = overlay.OfKind("Component").Single(c => Overlay.Text(c["metadata"]!["name"]) == "statestore");
            var most = overlay.All<V2HorizontalPodAutoscaler>().Select(h => (App: h.Spec.ScaleTargetRef.Name, Replicas: h.Spec.MaxReplicas))
                .Concat(ScaledObject.AllOf(overlay).Select(s => (App: s.Spec.ScaleTargetRef.Name, Replicas: s.Spec.MaxReplicaCount))).ToDictionary(app => app.App, app => app.Replicas);
            var sidecars = store["scopes"]!.AsArray().Select(Overlay.Text)
                .Sum(app => most[app] + (int.Parse(overlay.Applications[app].Spec.Strategy.RollingUpdate.MaxSurge.Value, CultureInfo.InvariantCulture) * 2));
            var connections = sidecars * int.Parse(Components.FieldsOf(store)["maxConns"]["value ".Length..], CultureInfo.InvariantCulture);

            Assert.All(new[] { "deploy.md", "scaling.md" }, page =>
            {
                var text = File.ReadAllText(RepositoryFiles.PathOf("docs", page));
                Assert.Contains($"{connections}", text, StringComparison.Ordinal);
                // Some are kept for the superuser, and for whoever looks.
                Assert.InRange(int.Parse(Regex.Match(text, "`max_connections` of ([0-9]+)").Groups[1].Value, CultureInfo.InvariantCulture), connections + 20, connections + 100);
            });
        });
    }

    [Theory]
    [MemberData(nameof(KedaOverlays))]
    public void What_a_trigger_signs_in_with_is_there(string name)
    {
        var overlay = Overlay.Of(name);
        var known = TriggerAuthentication.AllOf(overlay);
        var secrets = SecretsScript.KeysFor(name);

        Assert.All(ScaledObject.AllOf(overlay).SelectMany(s => s.Spec.Triggers).Select(t => t.AuthenticationRef).OfType<ObjectName>(), reference =>
            Assert.Contains(reference.Name, known.Select(a => a.Metadata.Name)));
        Assert.All(known.SelectMany(a => a.Spec.SecretTargetRef), secret => Assert.Contains((secret.Name, secret.Key), secrets));
    }

    private static string TopicOf(ScaleTrigger trigger, string app, string broker)
    {
        var says = trigger.Metadata;
        switch (broker)
        {
            case "pubsub.redis":
                Assert.Equal(("redis-streams", app, "200"), (trigger.Type, says["consumerGroup"], says["lagCount"]));
                Assert.Equal("0", says["activationLagCount"]);
                return says["stream"];
            case "pubsub.rabbitmq":
                Assert.Equal(("rabbitmq", "QueueLength"), (trigger.Type, says["mode"]));
                Assert.StartsWith($"{app}-", says["queueName"], StringComparison.Ordinal);
                return says["queueName"][(app.Length + 1)..];
            case "pubsub.kafka":
                Assert.Equal(("kafka", app, "earliest"), (trigger.Type, says["consumerGroup"], says["offsetResetPolicy"]));
                return says["topic"];
            case "pubsub.jetstream":
                Assert.Equal(("nats-jetstream", app), (trigger.Type, says["consumer"]));
                return says["stream"];
            default:
                throw new ArgumentException($"Say here how KEDA counts what waits in {broker}.", nameof(broker));
        }
    }
}
