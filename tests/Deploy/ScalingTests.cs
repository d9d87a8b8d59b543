using k8s.Models;

namespace DaprOrders.Deploy.Tests;

/// <summary>Replicas by the processor, or by what waits in the broker as well: one of the two for every service.</summary>
public sealed class ScalingTests
{
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
