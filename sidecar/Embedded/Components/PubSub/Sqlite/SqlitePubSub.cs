namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>
/// pubsub.sqlite: the durable broker of the embedded sidecar, a type that daprd does not have.
/// <list type="bullet">
/// <item>A publish returns when the message is on disk. One writer commits for all topics and applications: a commit takes whatever
/// queued while the last one ran.</item>
/// <item>A consumer (consumer id and topic) gets every message published since its subscription was first registered, in the order of
/// publication, several at once up to <c>concurrency</c> (of batches at most two); replicas with one consumer id compete. Its position and its unfinished
/// messages are kept: after a crash those come again at once, so delivery is at least once.</item>
/// <item>Nothing is lost silently: a message that fails (after the retries of a resiliency policy, and without a dead-letter topic) is
/// delivered again every <c>redeliverInterval</c>, for ever. A consumer with too many such messages gets no new ones.</item>
/// <item>A message is removed when every known consumer has finished it. In a topic without one it waits for the first who subscribes, as on Redis: the
/// latest 100,000 of a topic, all where the topic is somebody's dead-letter topic.</item>
/// <item>A consumer that never comes back keeps what it has not had, for ever. The start tells who holds how much; those named by
/// <c>forgetConsumers</c> are forgotten.</item>
/// <item>When the disk is full, publishing fails with the reason, and what consumers finish goes on making room; nothing that was taken is
/// lost. All goes on by itself once there is space.</item>
/// </list>
/// </summary>
internal sealed class SqlitePubSub : IBulkPubSub
{
    /// <summary>One is worked on while the next is on its way. More than that gave no more, and batches that are less full.</summary>
    private const int MostBatchesAtOnce = 2;

    private readonly SqlitePubSubOptions _options;
    private readonly MessageStore _store;
    private readonly Topics _topics;
    private readonly GroupCommit _writer;

    public SqlitePubSub(SqlitePubSubOptions options, ILogger logger, TimeProvider time)
    {
        _options = options;
        _store = new(options.Path, options.MaxPages);
        _topics = new(_store, NewConsumer, logger);
        _writer = new(_topics, _store, options, logger, time);
        _topics.Load(options.ForgetConsumers);
        _writer.Start();

        // There are none before the topics are loaded.
        ConsumerGroup NewConsumer(Topic topic, ConsumerState state) =>
            new(new(topic.Name, topic.Number, topic.LastPlace), state, _store, options, _writer!.Acknowledge, logger, time);
    }

    public static ComponentType ComponentType { get; } = new(
        "pubsub.sqlite",
        "v1",
        [.. PubSubFields.Common, "connectionString", "concurrency", "redeliverInterval", "forgetConsumers"],
        (metadata, context, _) => Task.FromResult<IAsyncDisposable>(new SqlitePubSub(SqlitePubSubOptions.Read(metadata), context.Logger, context.Time)))
    {
        OfEachSidecar = PubSubFields.Common,
        Paths = ["connectionString"],
    };

    public IReadOnlyList<string> Capabilities { get; } = ["BULK_SUBSCRIBE_IMMEDIATE"];

    public Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken) => WriteAsync(new Publication(topic, [message]));

    public async Task<IReadOnlyList<Exception?>> PublishManyAsync(string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken)
    {
        var failures = new Exception?[messages.Count];
        if (messages.Count > 0 && await _writer.EnqueueAsync(new Publication(topic, messages)) is { } failure)
            Array.Fill(failures, failure);
        return failures;
    }

    public Task RegisterAsync(TopicSubscription subscription, CancellationToken cancellationToken) =>
        _topics.IsKnown(subscription) ? Task.CompletedTask : WriteAsync(new Registration(subscription));

    public Task<IAsyncDisposable> SubscribeAsync(
        TopicSubscription subscription,
        Func<BrokerMessage, CancellationToken, Task<DeliveryResult>> handler,
        CancellationToken cancellationToken) => JoinAsync(
            subscription,
            new(1, _options.Concurrency, async (batch, stop) => batch.Finish(0, await handler(batch.Messages[0], stop))),
            cancellationToken);

    public Task<IAsyncDisposable> SubscribeManyAsync(
        TopicSubscription subscription,
        int maxMessages,
        Func<IMessageBatch, CancellationToken, Task> handler,
        CancellationToken cancellationToken) => JoinAsync(subscription, new(Math.Min(maxMessages, _options.MaxUnfinished), Math.Min(MostBatchesAtOnce, _options.Concurrency), handler), cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (_writer.IsStopping)
            return;

        foreach (var consumer in _topics.All.SelectMany(topic => topic.Consumers))
            consumer.Dispose();
        await _writer.DisposeAsync();
        _store.Dispose();
    }

    private async Task<IAsyncDisposable> JoinAsync(TopicSubscription subscription, Subscriber subscriber, CancellationToken cancellationToken)
    {
        await RegisterAsync(subscription, cancellationToken);
        return _topics.Find(subscription)!.Join(subscriber);
    }

    private async Task WriteAsync(Work work)
    {
        if (await _writer.EnqueueAsync(work) is { } failure)
            throw new IOException($"pubsub.sqlite could not write to {_options.Path}: {failure.Message}", failure);
    }
}
