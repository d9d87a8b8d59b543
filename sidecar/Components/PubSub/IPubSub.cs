namespace DaprOrders.Sidecar.Components.PubSub;

/// <summary>A message as the broker keeps it: the bytes (as a rule a CloudEvent envelope) and the metadata that travels beside them.</summary>
public sealed record BrokerMessage(ReadOnlyMemory<byte> Data, string? ContentType, IReadOnlyDictionary<string, string> Metadata);

/// <summary>Told to the broker after a delivery. What a broker does with <c>Failed</c> differs: see dapr's own components.</summary>
public enum DeliveryResult
{
    Done,
    Failed,
}

/// <summary>One subscription of one application: the consumer id (the app id unless the component says otherwise) makes replicas compete.</summary>
public sealed record TopicSubscription(string Topic, string ConsumerId, IReadOnlyDictionary<string, string> Metadata);

/// <summary>A pub/sub component (components-contrib/pubsub). One instance serves every application.</summary>
public interface IPubSub : IAsyncDisposable
{
    IReadOnlyList<string> Capabilities { get; }

    Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken);

    /// <summary>Several messages in one go: at its position null, or why it was not published.</summary>
    Task<IReadOnlyList<Exception?>> PublishManyAsync(string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken);

    /// <summary>Delivers until the answer is disposed; the handler may run many times at once, as far as the component does so.</summary>
    Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        CancellationToken cancellationToken);
}
