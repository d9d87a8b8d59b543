using Confluent.Kafka;

namespace EmbeddedSidecar.Components.PubSub.Kafka;

/// <summary>
/// pubsub.kafka: topics of Kafka, read by groups (components-contrib, pubsub/kafka and common/component/kafka). Topics, groups, keys and headers are used as
/// daprd does, so that both can work on one broker.
/// <list type="bullet">
/// <item>A publish returns when all replicas in sync have the message; tried again, it is there once.</item>
/// <item>A group that is new begins with what comes after it has joined, or with <c>initialOffset</c> oldest at the beginning.</item>
/// <item>Messages of a partition are handled in order, partitions at once. A message whose handler failed is handled again every 5 s, for ever, and those
/// behind it wait, unless <c>consumeRetryEnabled</c> is false: then it is skipped.</item>
/// <item>What was in hand when a process died comes again to another member of the group when <c>sessionTimeout</c> (10 s) is over, or when it is back.</item>
/// </list>
/// Unlike daprd, each subscription is a member of its group by itself, partitions of a bulk subscription are handled at once, of a batch only what
/// failed is handled again, and what is in hand when partitions are shared out anew is finished first.
/// </summary>
internal sealed class KafkaPubSub : IBulkPubSub
{
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(2);

    private readonly KafkaPubSubOptions _options;
    private readonly ComponentContext _context;
    private readonly OpenSubscriptions _topics = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly Lock _lock = new();
    private volatile IProducer<byte[]?, byte[]?> _producer;
    private bool _isDisposed;

    private KafkaPubSub(IProducer<byte[]?, byte[]?> producer, KafkaPubSubOptions options, ComponentContext context) =>
        (_producer, _options, _context) = (producer, options, context);

    public static ComponentType ComponentType { get; } = new("pubsub.kafka", "v1", KafkaPubSubOptions.Fields, CreateAsync)
    {
        Absent = KafkaPubSubOptions.Absent,
        ServerFields = ["brokers"],
    };

    public IReadOnlyList<string> Capabilities { get; } = ["BULK_PUBSUB"];

    public async Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        if (await TryPublishAsync(topic, message, cancellationToken) is { } failure)
            throw failure;
    }

    /// <summary>All are on their way before the first is awaited, and in their order.</summary>
    public async Task<IReadOnlyList<Exception?>> PublishManyAsync(
        string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken) =>
        await Task.WhenAll(messages.Select(message => TryPublishAsync(topic, message, cancellationToken)));

    /// <summary>It is begun, not waited for.</summary>
    public Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        CancellationToken cancellationToken) =>
        SubscribeManyAsync(
            subscription,
            maxMessages: 1,
            async (batch, stop) => batch.Finish(0, await handler(batch.Messages[0], stop)),
            cancellationToken);

    public Task<IAsyncDisposable> SubscribeManyAsync(
        TopicSubscription subscription,
        int maxMessages,
        Func<IMessageBatch, CancellationToken, Task> handler,
        CancellationToken cancellationToken)
    {
        KafkaMessages.RefuseAvro(subscription.Metadata);
        var topic = new KafkaTopic(subscription, maxMessages, handler, _options, _context, _stopping.Token);
        _topics.Add(topic);
        return Task.FromResult<IAsyncDisposable>(topic);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _isDisposed, true))
            return;
        await _stopping.CancelAsync();
        await _topics.EndAsync();
        await Task.Run(() =>
        {
            _producer.Flush(LastWords);
            _producer.Dispose();
        });
        _stopping.Dispose();
    }

    private static async Task<IAsyncDisposable> CreateAsync(ComponentMetadata metadata, ComponentContext context, CancellationToken cancellationToken)
    {
        var options = KafkaPubSubOptions.Read(metadata, context.Logger);
        var producer = Open(options, context);
        var answering = Task.Run(() => AwaitAnswer(producer), CancellationToken.None);
        try
        {
            await answering.WaitAsync(cancellationToken);
            return new KafkaPubSub(producer, options, context);
        }
        catch
        {
            _ = answering.ContinueWith(_ => producer.Dispose(), TaskScheduler.Default);
            throw;
        }
    }

    private static IProducer<byte[]?, byte[]?> Open(KafkaPubSubOptions options, ComponentContext context) =>
        new ProducerBuilder<byte[]?, byte[]?>(options.Producer)
            .SetErrorHandler((_, error) => Tell(context, error))
            .SetLogHandler((_, log) => context.Logger.LogDebug("{Client}: {Text}", log.Name, log.Message))
            .Build();

    private static void AwaitAnswer(IProducer<byte[]?, byte[]?> producer)
    {
        using var admin = new DependentAdminClientBuilder(producer.Handle).Build();
        admin.GetMetadata(TimeSpan.FromSeconds(30));
    }

    private static void Tell(ComponentContext context, Error error)
    {
        if (error.Code is ErrorCode.Local_AllBrokersDown)
            context.Logger.LogWarning("No broker of Kafka answers; they are looked for until one is back");
        else if (error.Code is not (ErrorCode.Local_Transport or ErrorCode.Local_Resolve))
            context.Logger.LogWarning("Publishing to Kafka: {Reason}", error.Reason);
    }

    /// <summary>Null, or why it may not be there.</summary>
    private async Task<Exception?> TryPublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        var producer = _producer;
        try
        {
            var (partition, written) = KafkaMessages.Write(message, _options);
            await producer.ProduceAsync(new TopicPartition(topic, partition), written, cancellationToken);
            return null;
        }
        catch (Exception failure) when (failure is KafkaException or ArgumentException or ObjectDisposedException)
        {
            if (failure is KafkaException { Error.Code: ErrorCode.Local_Fatal })
                Reopen(producer);
            return new IOException($"kafka: {failure.Message}", failure);
        }
    }

    /// <summary>A producer that can no longer be idempotent, since the broker has lost what it knew of it, takes nothing more.</summary>
    private void Reopen(IProducer<byte[]?, byte[]?> fatal)
    {
        lock (_lock)
        {
            if (_producer != fatal || _isDisposed)
                return;
            _context.Logger.LogWarning("Kafka does not know this producer any more: another one takes its place");
            _producer = Open(_options, _context);
        }

        _ = Task.Run(fatal.Dispose);
    }
}
