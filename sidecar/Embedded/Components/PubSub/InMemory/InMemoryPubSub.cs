using System.Collections.Immutable;
using System.Threading.Channels;

namespace EmbeddedSidecar.Components.PubSub.InMemory;

/// <summary>
/// pubsub.in-memory: fan-out to every consumer id, one message at a time per subscription, a failed message is logged and gone,
/// a trailing <c>*</c> subscribes to every topic that begins so.
/// Unlike daprd's it spans the applications of one process, and so a publisher never waits for a busy subscriber: two applications
/// that answer each other's events would wait for each other for ever.
/// </summary>
internal sealed class InMemoryPubSub(ILogger logger) : IPubSub
{
    private static readonly Task<IReadOnlyList<Exception?>> NoFailures = Task.FromResult<IReadOnlyList<Exception?>>([]);

    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private ImmutableArray<ConsumerQueue> _queues = [];

    public static ComponentType ComponentType { get; } = new(
        "pubsub.in-memory",
        "v1",
        PubSubFields.Common,
        (_, context, _) => Task.FromResult<IAsyncDisposable>(new InMemoryPubSub(context.Logger)))
    {
        OfEachSidecar = PubSubFields.Common,
    };

    public IReadOnlyList<string> Capabilities { get; } = ["SUBSCRIBE_WILDCARDS"];

    public int AtOnce => 1;

    public Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        foreach (var queue in _queues)
        {
            if (queue.Takes(topic))
                queue.Messages.Writer.TryWrite(message);
        }

        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<Exception?>> PublishManyAsync(string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken)
    {
        foreach (var message in messages)
            PublishAsync(topic, message, cancellationToken);
        return messages.Count == 0 ? NoFailures : Task.FromResult<IReadOnlyList<Exception?>>(new Exception?[messages.Count]);
    }

    public Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        CancellationToken cancellationToken)
    {
        var queue = Join(subscription);
        var stop = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        var delivering = DeliverAsync(queue, handler, stop.Token);
        return Task.FromResult<IAsyncDisposable>(new Subscription(this, queue, stop, delivering));
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _stopping.Dispose();
    }

    private ConsumerQueue Join(TopicSubscription subscription)
    {
        lock (_lock)
        {
            var queue = _queues.FirstOrDefault(one => one.Topic == subscription.Topic && one.ConsumerId == subscription.ConsumerId);
            if (queue is null)
                _queues = _queues.Add(queue = new(subscription.Topic, subscription.ConsumerId));
            queue.Subscriptions++;
            return queue;
        }
    }

    private void Leave(ConsumerQueue queue)
    {
        lock (_lock)
        {
            if (--queue.Subscriptions == 0)
                _queues = _queues.Remove(queue);
        }
    }

    private async Task DeliverAsync(ConsumerQueue queue, Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler, CancellationToken stop)
    {
        // Away from the caller at once: the handler must not run inside SubscribeAsync.
        await Task.Yield();
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var message = await queue.Messages.Reader.ReadAsync(stop);
                if (await handler(message, _stopping.Token) == DeliveryResult.Failed)
                    logger.LogWarning(
                        "A message of topic {Topic} failed at {Consumer} and is gone: pubsub.in-memory does not deliver again",
                        queue.Topic, queue.ConsumerId);
            }
            catch (OperationCanceledException) when (stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception error)
            {
                logger.LogError(
                    error, "A message of topic {Topic} failed at {Consumer} and is gone: pubsub.in-memory does not deliver again",
                    queue.Topic, queue.ConsumerId);
            }
        }
    }

    /// <summary>Replicas (one consumer id, several subscriptions) read the same queue: they compete.</summary>
    private sealed class ConsumerQueue(string topic, string consumerId)
    {
        private readonly string? _prefix = topic.EndsWith('*') ? topic[..^1] : null;

        public string Topic { get; } = topic;

        public string ConsumerId { get; } = consumerId;

        public Channel<BrokerMessage> Messages { get; } = Channel.CreateUnbounded<BrokerMessage>();

        public int Subscriptions { get; set; }

        public bool Takes(string topic) => _prefix is null ? topic == Topic : topic.StartsWith(_prefix, StringComparison.Ordinal);
    }

    private sealed class Subscription(InMemoryPubSub owner, ConsumerQueue queue, CancellationTokenSource stop, Task delivering) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            owner.Leave(queue);
            await stop.CancelAsync();
            await delivering;
            stop.Dispose();
        }
    }
}
