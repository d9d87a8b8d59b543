using System.Text.Json;
using EmbeddedSidecar.Api.PubSub.Targets;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Resources;
using Polly;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>
/// The deliveries of one subscription to whoever takes them (pkg/runtime/subscription). An event that failed for good goes to the
/// dead-letter topic, unchanged; without one, or when that fails too, the broker is told and does what it does with failed messages.
/// </summary>
internal class TopicDelivery
{
    private static readonly TimeSpan DeadLetterLimit = TimeSpan.FromSeconds(30);

    private readonly IEventTarget _target;
    private readonly RouteRules _routes;

    public TopicDelivery(SidecarRuntime runtime, IEventTarget target, PubSubComponent component, SubscriptionResource subscription, CancellationToken stopping)
    {
        (Runtime, _target, Component, Subscription, Stopping) = (runtime, target, component, subscription, stopping);
        Inbound = runtime.Resiliency.ForComponentInbound(component.Name, ComponentKind.Pubsub);
        _routes = new(subscription);
        IsRaw = MetadataFields.IsRawPayload(component.Name, subscription.Metadata);
    }

    protected SidecarRuntime Runtime { get; }

    protected PubSubComponent Component { get; }

    protected SubscriptionResource Subscription { get; }

    /// <summary>Cancelled when the sidecar can wait no longer: what runs then counts neither as done nor as a dead letter.</summary>
    protected CancellationToken Stopping { get; }

    protected ResiliencePipeline? Inbound { get; }

    protected bool IsRaw { get; }

    public async Task<DeliveryResult> DeliverAsync(BrokerMessage message, CancellationToken cancellationToken)
    {
        var data = IsRaw ? CloudEventEnvelope.Wrap(Component.Name, Subscription.Topic, message.Data, message.Metadata) : message.Data;
        if (!TryRoute(data, out var header, out var path, out var outcome))
            return await SettleAsync(message, outcome);

        try
        {
            var delivered = new DeliveredEvent(message, data, header);
            await Inbound.RunAsync(stop => AttemptAsync(path, delivered, stop), cancellationToken);
            return DeliveryResult.Done;
        }
        catch (Exception error)
        {
            if (cancellationToken.IsCancellationRequested)
                return DeliveryResult.Failed;

            Runtime.Logger.LogWarning(
                "Event {EventId} of topic {Topic} was not handled at {Path} of {AppId}: {Reason}",
                header.Id, Subscription.Topic, path, Runtime.Options.AppId, error.Message);
            return await SettleAsync(message, Unroutable.Failed);
        }
    }

    /// <summary>What becomes of an event that has no route to go to.</summary>
    protected enum Unroutable
    {
        /// <summary>Nobody wants it: done, with a copy to the dead letters.</summary>
        Dropped,

        /// <summary>It cannot be read or matched: to the dead letters, else the broker's matter.</summary>
        Failed,
    }

    protected bool TryRoute(ReadOnlyMemory<byte> cloudEvent, out EventHeader header, out string path, out Unroutable outcome)
    {
        (header, path, outcome) = (default, "", Unroutable.Failed);
        try
        {
            header = EventHeader.Read(cloudEvent.Span);
            if (header.Expiration < Runtime.Time.GetUtcNow())
            {
                Runtime.Logger.LogWarning(
                    "Event {EventId} of topic {Topic} expired at {Expiration} and is dropped",
                    header.Id, Subscription.Topic, header.Expiration);
                outcome = Unroutable.Dropped;
                return false;
            }

            if (_routes.PathFor(cloudEvent) is { } found)
            {
                path = found;
                return true;
            }

            Runtime.Logger.LogDebug("No route of topic {Topic} takes event {EventId}; it is dropped", Subscription.Topic, header.Id);
            outcome = Unroutable.Dropped;
            return false;
        }
        catch (JsonException error)
        {
            Runtime.Logger.LogError(
                "A message of topic {Topic} is no CloudEvent and cannot be delivered: {Reason}", Subscription.Topic, error.Message);
            return false;
        }
        catch (Exception error)
        {
            Runtime.Logger.LogError(
                "Event {EventId} of topic {Topic} cannot be matched with the routes: {Reason}",
                header.Id, Subscription.Topic, error.Message);
            return false;
        }
    }

    protected async Task<DeliveryResult> SettleAsync(BrokerMessage message, Unroutable outcome)
    {
        var isKept = Subscription.DeadLetterTopic is not null && await TryDeadLetterAsync([message]) is [null];
        return isKept || outcome == Unroutable.Dropped ? DeliveryResult.Done : DeliveryResult.Failed;
    }

    /// <summary>The events as they were. At their positions null, or why one could not be published.</summary>
    protected async Task<IReadOnlyList<Exception?>> TryDeadLetterAsync(IReadOnlyList<BrokerMessage> messages)
    {
        // The attempts have used up their time; this has its own.
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Stopping);
        limit.CancelAfter(DeadLetterLimit);
        try
        {
            var failures = await Component.PublishManyAsync(Subscription.DeadLetterTopic!, messages, limit.Token);
            foreach (var failure in failures.Where(failure => failure is not null))
                Report(failure!);
            return failures;
        }
        catch (Exception error)
        {
            Report(error);
            return [.. messages.Select(_ => error)];
        }

        void Report(Exception error) => Runtime.Logger.LogError(
            error, "A failed event of topic {Topic} could not be published to the dead-letter topic {DeadLetterTopic}", Subscription.Topic, Subscription.DeadLetterTopic);
    }

    /// <summary>One attempt; it fails by an exception, which a retry policy may match by its status.</summary>
    private async Task AttemptAsync(string path, DeliveredEvent delivered, CancellationToken cancellationToken)
    {
        var processed = "retry";
        try
        {
            var (verdict, words) = await _target.DeliverAsync(path, delivered, cancellationToken);
            switch (verdict)
            {
                case AppVerdict.Retry:
                    throw new AttemptFailedException($"a retry was asked for: {words}");
                case AppVerdict.Drop:
                    Runtime.Logger.LogWarning("Event {EventId} of topic {Topic} was dropped: {Answer}", delivered.Header.Id, Subscription.Topic, words);
                    if (Subscription.DeadLetterTopic is not null && await TryDeadLetterAsync([delivered.Message]) is [{ } failure])
                        throw new AttemptFailedException("the dropped event could not be kept as a dead letter", inner: failure);
                    processed = "drop";
                    break;
                default:
                    processed = "success";
                    break;
            }
        }
        finally
        {
            Runtime.Metrics.Delivered(Component.Name, Subscription.Topic, processed);
        }
    }
}
