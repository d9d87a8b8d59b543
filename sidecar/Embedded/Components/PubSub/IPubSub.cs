namespace EmbeddedSidecar.Components.PubSub;

/// <summary>
/// A message as the broker keeps it: the bytes (as a rule a CloudEvent envelope) and the metadata that travels beside them.
/// Null metadata and empty metadata look different to a bulk subscriber, as on daprd.
/// </summary>
internal sealed record BrokerMessage(ReadOnlyMemory<byte> Data, string? ContentType, IReadOnlyDictionary<string, string>? Metadata);

/// <summary>Told to the broker after a delivery. What a broker does with <c>Failed</c> differs: see dapr's own components.</summary>
internal enum DeliveryResult
{
    Done,
    Failed,
}

/// <summary>
/// One subscription of one application: the consumer id (the app id unless the component says otherwise) makes replicas compete. The
/// dead-letter topic is told to brokers that keep messages only where somebody waits for them.
/// </summary>
internal sealed record TopicSubscription(
    string Topic, string ConsumerId, IReadOnlyDictionary<string, string> Metadata, string? DeadLetterTopic = null);

/// <summary>Of a pub/sub component, in daprd's words (components-contrib/pubsub/feature.go).</summary>
internal static class PubSubCapabilities
{
    /// <summary>The broker drops what has expired; for the others the event says when it expires, and the sidecar of its subscriber drops it.</summary>
    public const string MessageTtl = "MESSAGE_TTL";
}

/// <summary>A pub/sub component (components-contrib/pubsub). One instance serves every application.</summary>
internal interface IPubSub : IAsyncDisposable
{
    IReadOnlyList<string> Capabilities { get; }

    /// <summary>How many messages of a subscription are with its handler at once, at most: a batch that is gathered from them cannot become larger.</summary>
    int AtOnce => int.MaxValue;

    Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken);

    /// <summary>Several messages in one go: at its position null, or why it was not published.</summary>
    Task<IReadOnlyList<Exception?>> PublishManyAsync(string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken);

    /// <summary>
    /// Makes a consumer known before its application can take deliveries, so that a broker which keeps messages keeps them from now on.
    /// </summary>
    Task RegisterAsync(TopicSubscription subscription, CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>
    /// Delivers until the answer is disposed, which waits for the handlers that run; the handler may run many times at once, as far as
    /// the component does so.
    /// </summary>
    /// <exception cref="ArgumentException">The metadata of the subscription cannot be used.</exception>
    Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        CancellationToken cancellationToken);
}

/// <summary>
/// A component that hands many messages over at once by itself. For the others a batch is gathered from single deliveries, until it is
/// full or its time is over.
/// </summary>
internal interface IBulkPubSub : IPubSub
{
    /// <summary>
    /// A batch is what is there, at most <paramref name="maxMessages"/>; no time is waited for more. A few may be
    /// at work at once; once it is that many, the next one comes when one of them has ended or was opened by <see cref="IMessageBatch.LetNextCome"/>.
    /// </summary>
    Task<IAsyncDisposable> SubscribeManyAsync(
        TopicSubscription subscription,
        int maxMessages,
        Func<IMessageBatch, CancellationToken, Task> handler,
        CancellationToken cancellationToken);
}

/// <summary>Messages handed over together. Each may be finished as soon as its fate is known; what is not finished at the end has failed.</summary>
internal interface IMessageBatch
{
    IReadOnlyList<BrokerMessage> Messages { get; }

    void Finish(int index, DeliveryResult result);

    /// <summary>Only stragglers are left (they are being retried): the next batch need not wait for them.</summary>
    void LetNextCome();
}
