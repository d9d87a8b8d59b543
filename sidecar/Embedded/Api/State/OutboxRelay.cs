using System.Text.Json;
using EmbeddedSidecar.Api.PubSub;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Api.State;

/// <summary>
/// Publishes the events of the outboxes of one application: takes them from the internal topics, for which its replicas compete, and publishes those whose change was
/// committed. Unlike daprd's (pkg/runtime/pubsub/outbox.go) it does not wait a second before it looks, and stores of one topic share their subscription.
/// </summary>
internal sealed class OutboxRelay(SidecarRuntime runtime) : ISidecarPart
{
    private static readonly TimeSpan FirstWait = TimeSpan.FromMilliseconds(20);
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(3);

    /// <summary>daprd looks for eleven seconds.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(11);

    private readonly List<(InternalTopic Topic, OpenDelivery Delivery)> _running = [];

    private sealed record InternalTopic(PubSubComponent Component, TopicSubscription Subscription, List<Outbox> Outboxes)
    {
        public bool IsSame(InternalTopic other) => ReferenceEquals(Component, other.Component)
            && Subscription.Topic == other.Subscription.Topic && Outboxes.SequenceEqual(other.Outboxes);
    }

    /// <summary>Makes the subscriptions known to brokers that keep messages, before anything can be published.</summary>
    public static async Task RegisterAsync(LoadedResources loaded, CancellationToken cancellationToken)
    {
        foreach (var (component, topic, _) in TopicsOf(loaded))
            await component.Broker.RegisterAsync(topic, cancellationToken);
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var topics = TopicsOf(runtime.Loaded).ToList();
        var outdated = _running.FindAll(running => !topics.Exists(running.Topic.IsSame));
        foreach (var topic in topics.FindAll(topic => !_running.Exists(running => running.Topic.IsSame(topic))))
        {
            var givingUp = new CancellationTokenSource();
            var subscribed = await topic.Component.Broker.SubscribeAsync(
                topic.Subscription, (message, _) => RelayAsync(topic.Outboxes, message.Data, givingUp.Token), cancellationToken);
            _running.Add((topic, new(subscribed, givingUp)));
        }

        await EndAsync(outdated, cancellationToken);
    }

    public Task FollowAsync(CancellationToken cancellationToken) => StartAsync(cancellationToken);

    public Task StopAsync(CancellationToken cancellationToken) => EndAsync([.. _running], cancellationToken);

    private static IEnumerable<InternalTopic> TopicsOf(LoadedResources loaded) =>
        from outbox in loaded.StateStores.Values.Select(store => store.Outbox).OfType<Outbox>()
        group outbox by (outbox.PubSub, outbox.Topic) into topic
        where loaded.PubSubs.ContainsKey(topic.Key.PubSub)
        let component = loaded.PubSubs[topic.Key.PubSub]
        select new InternalTopic(component, new(topic.Key.Topic, component.ConsumerId, new Dictionary<string, string>()), topic.ToList());

    private async Task EndAsync(List<(InternalTopic Topic, OpenDelivery Delivery)> ending, CancellationToken cancellationToken)
    {
        _running.RemoveAll(ending.Contains);
        await Task.WhenAll(ending.Select(running => running.Delivery.EndAsync(cancellationToken)));
    }

    /// <exception cref="InvalidOperationException">
    /// A store or a broker is away. Thrown, since pubsub.redis and pubsub.rabbitmq keep what was thrown at, and may lose what was called failed.
    /// </exception>
    private async Task<DeliveryResult> RelayAsync(List<Outbox> outboxes, ReadOnlyMemory<byte> cloudEvent, CancellationToken stopping)
    {
        if (MarkerOf(cloudEvent) is not { } marker)
        {
            runtime.Logger.LogError("A message of the internal topic {Topic} is no event of an outbox, and is dropped", outboxes[0].Topic);
            return DeliveryResult.Done;
        }

        var (began, wait) = (runtime.Time.GetTimestamp(), FirstWait);
        while (true)
        {
            Exception? problem = null;
            try
            {
                var (fate, outbox) = await FindAsync(outboxes, marker, stopping);
                if (fate == OutboxFate.Refused)
                    return DeliveryResult.Done;
                if (fate == OutboxFate.Committed)
                {
                    await outbox.PublishAsync(cloudEvent, stopping);
                    await ForgetAsync(outbox, marker, stopping);
                    return DeliveryResult.Done;
                }
            }
            catch (Exception e) when (e is ApiException or StateStoreException)
            {
                problem = e;
            }

            if (runtime.Time.GetElapsedTime(began) > Patience)
                return GivenUp(outboxes, marker, problem);

            await Task.Delay(wait, runtime.Time, stopping);
            wait = wait * 3 < LongestWait ? wait * 3 : LongestWait;
        }
    }

    private DeliveryResult GivenUp(List<Outbox> outboxes, string marker, Exception? problem)
    {
        var topic = outboxes[0].PublishTopic;
        if (problem is not null)
            throw new InvalidOperationException($"outbox event {marker} of topic {topic} cannot be published yet: {problem.Message}", problem);

        var isDiscarded = outboxes.TrueForAll(outbox => outbox.DiscardsWhatHasNoMarker);
        runtime.Logger.LogError(
            "Outbox event {Marker} of topic {Topic} has no state that was committed with it, and is {Fate}",
            marker, topic, isDiscarded ? "discarded" : "left to the broker");
        return isDiscarded ? DeliveryResult.Done : DeliveryResult.Failed;
    }

    /// <summary>The outbox that knows of the marker; any where none does.</summary>
    private static async Task<(OutboxFate Fate, Outbox Outbox)> FindAsync(List<Outbox> outboxes, string marker, CancellationToken cancellationToken)
    {
        foreach (var outbox in outboxes)
        {
            if (await outbox.FateAsync(marker, cancellationToken) is var fate and not OutboxFate.Unknown)
                return (fate, outbox);
        }

        return (OutboxFate.Unknown, outboxes[0]);
    }

    /// <summary>Null for what no outbox has made: whose id names another key must not have it deleted.</summary>
    private static string? MarkerOf(ReadOnlyMemory<byte> cloudEvent)
    {
        try
        {
            return EventHeader.Read(cloudEvent.Span).Id is { } id && id.StartsWith(Outbox.MarkerPrefix, StringComparison.Ordinal) ? id : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>A marker that stays harms nobody: the event is out, and must not go out again for that.</summary>
    private async Task ForgetAsync(Outbox outbox, string marker, CancellationToken cancellationToken)
    {
        if (await outbox.ForgetAsync(marker, cancellationToken) is { } failure)
            runtime.Logger.LogWarning("The marker {Marker} of a published outbox event could not be deleted: {Reason}", marker, failure.Message);
    }
}
