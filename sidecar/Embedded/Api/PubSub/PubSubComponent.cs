using EmbeddedSidecar.Components;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Resources;
using Polly;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>A pub/sub component as one application sees it: its topic scopes, its consumer id, and its outbound resiliency.</summary>
internal sealed class PubSubComponent
{
    private readonly string _appId;
    private readonly SidecarMetrics _metrics;
    private readonly ResiliencePipeline? _outbound;

    public PubSubComponent(LoadedComponent component, SidecarOptions options, SidecarMetrics metrics, ResiliencyPolicies policies)
    {
        _metrics = metrics;
        Name = component.Name;
        Broker = (IPubSub)component.Instance;
        BrokerDropsExpired = Broker.Capabilities.Contains(PubSubCapabilities.MessageTtl);
        Scopes = new(component.Metadata, options.AppId);
        ConsumerId = component.Metadata.Text("consumerID", options.AppId);
        _appId = options.AppId;
        _outbound = policies.ForComponentOutbound(Name, ComponentKind.Pubsub);
    }

    public string Name { get; }

    public IPubSub Broker { get; }

    public TopicScopes Scopes { get; }

    public bool BrokerDropsExpired { get; }

    /// <summary>Replicas have one, so they compete; other applications have theirs.</summary>
    public string ConsumerId { get; }

    internal TopicSubscription TopicOf(SubscriptionResource subscription) =>
        new(subscription.Topic, ConsumerId, subscription.Metadata, subscription.DeadLetterTopic);

    /// <exception cref="ApiException">The application may not publish there, or the broker did not take it.</exception>
    public async Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        RefuseOutOfScope(topic);
        var published = false;
        try
        {
            await _outbound.RunAsync(stop => Broker.PublishAsync(topic, message, stop), cancellationToken);
            published = true;
        }
        catch (Exception error) when (error is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
        {
            throw PubSubErrors.PublishFailed(Name, topic, error.Message);
        }
        finally
        {
            _metrics.Published(Name, topic, published);
        }
    }

    /// <summary>At the positions of the messages null, or why one was not published. Retries send only the failed ones again.</summary>
    /// <exception cref="ApiException">The application may not publish there.</exception>
    public async Task<IReadOnlyList<Exception?>> PublishManyAsync(string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken)
    {
        RefuseOutOfScope(topic);
        if (messages.Count == 0)
            return [];
        var failures = await _outbound.RunManyAsync<BrokerMessage, Exception>(
            messages, (open, stop) => Broker.PublishManyAsync(topic, open, stop), isFinal: _ => false, resultOf: error => error, cancellationToken);
        var failed = failures.Count(failure => failure is not null);
        _metrics.PublishedInBulk(Name, topic, failed == 0, messages.Count - failed);
        return failures;
    }

    private void RefuseOutOfScope(string topic)
    {
        if (!Scopes.MayPublish(topic))
            throw PubSubErrors.Forbidden(Name, topic, _appId);
    }
}
