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

    /// <summary>How long events in hand may take when the sidecar stops.</summary>
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(5);

    private readonly List<IAsyncDisposable> _running = [];
    private CancellationTokenSource? _stopping;

    private IEnumerable<(PubSubComponent Component, TopicSubscription Topic, List<Outbox> Outboxes)> Topics =>
        from outbox in runtime.StateStores.Values.Select(store => store.Outbox).OfType<Outbox>()
        group outbox by (outbox.PubSub, outbox.Topic) into topic
        where runtime.PubSubs.ContainsKey(topic.Key.PubSub)
        let component = runtime.PubSubs[topic.Key.PubSub]
        select (component, new TopicSubscription(topic.Key.Topic, component.ConsumerId, new Dictionary<string, string>()), topic.ToList());

    /// <summary>Makes the subscriptions known to brokers that keep messages, before anything can be published.</summary>
    public async Task RegisterAsync(CancellationToken cancellationToken)
    {
        foreach (var (component, topic, _) in Topics)
            await component.Broker.RegisterAsync(topic, cancellationToken);
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var stopping = _stopping = new();
        foreach (var (component, topic, outboxes) in Topics)
        {
            _running.Add(await component.Broker.SubscribeAsync(
                topic, (message, _) => RelayAsync(outboxes, message.Data, stopping.Token), cancellationToken));
        }
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_stopping is not { } stopping)
            return;

        _stopping = null;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(DrainLimit);
        var ending = Task.WhenAll(_running.Select(subscription => subscription.DisposeAsync().AsTask()));
        await using (limit.Token.Register(stopping.Cancel))
            await ending;
        _running.Clear();
        stopping.Dispose();
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
