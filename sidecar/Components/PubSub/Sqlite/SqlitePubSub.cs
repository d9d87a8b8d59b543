using System.Collections.Concurrent;

namespace DaprOrders.Sidecar.Components.PubSub.Sqlite;

/// <summary>
/// pubsub.sqlite: the durable broker of the embedded sidecar, a type that daprd does not have.
/// <list type="bullet">
/// <item>A publish returns when the message is on disk. One writer commits for all topics and applications: a commit takes whatever
/// queued while the last one ran.</item>
/// <item>A consumer (consumer id and topic) gets every message published since its subscription was first registered, in the order of
/// publication, several at once up to <c>concurrency</c>; replicas with one consumer id compete. Its position and its unfinished
/// messages are kept: after a crash those come again at once, so delivery is at least once.</item>
/// <item>Nothing is lost silently: a message that fails (after the retries of a resiliency policy, and without a dead-letter topic) is
/// delivered again every <c>redeliverInterval</c>, for ever. A consumer with too many such messages gets no new ones.</item>
/// <item>A message is removed when every known consumer has finished it; one that nobody has subscribed to is not kept.</item>
/// </list>
/// </summary>
public sealed class SqlitePubSub : IBulkPubSub
{
    private const int MaxCommitMessages = 4096;

    /// <summary>Finished messages are noted with the next commit of published ones, or after this long; a crash before it delivers them again.</summary>
    private static readonly TimeSpan AcknowledgementDelay = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan CompactionInterval = TimeSpan.FromSeconds(1);

    private readonly SqlitePubSubOptions _options;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly MessageStore _store;
    private readonly BlockingCollection<Work> _work = [];
    private readonly ConcurrentDictionary<string, Topic> _topics = new();
    private readonly ConcurrentQueue<ConsumerGroup> _changed = new();
    private readonly ITimer _acknowledging;
    private readonly Task _writing;
    private int _acknowledgementsDue;
    private long _lastCompaction;
    private int _lastTopicNumber;

    public SqlitePubSub(SqlitePubSubOptions options, ILogger logger, TimeProvider time)
    {
        (_options, _logger, _time) = (options, logger, time);
        _store = new(options.Path);
        var byNumber = new Dictionary<int, Topic>();
        foreach (var state in _store.ReadTopics())
            byNumber[state.Number] = _topics[state.Name] = new(state.Name, state.Number) { LastPlace = state.LastPlace };
        foreach (var state in _store.ReadConsumers())
            AddConsumer(byNumber[state.Topic], state);
        _lastTopicNumber = byNumber.Keys.DefaultIfEmpty(0).Max();
        _lastCompaction = time.GetTimestamp();
        _acknowledging = time.CreateTimer(_ => _ = EnqueueAsync(new Acknowledgements()), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _writing = Task.Factory.StartNew(Write, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public static ComponentType ComponentType { get; } = new(
        "pubsub.sqlite",
        "v1",
        [.. PubSubFields.Common, "connectionString", "concurrency", "redeliverInterval"],
        (metadata, context, _) => Task.FromResult<IAsyncDisposable>(new SqlitePubSub(SqlitePubSubOptions.Read(metadata), context.Logger, context.Time)));

    public IReadOnlyList<string> Capabilities { get; } = ["BULK_SUBSCRIBE_IMMEDIATE"];

    public async Task PublishAsync(string topic, BrokerMessage message, CancellationToken cancellationToken)
    {
        if (await EnqueueAsync(new Publication(topic, [message])) is { } failure)
            throw new IOException($"pubsub.sqlite could not write to {_options.Path}: {failure.Message}", failure);
    }

    public async Task<IReadOnlyList<Exception?>> PublishManyAsync(string topic, IReadOnlyList<BrokerMessage> messages, CancellationToken cancellationToken)
    {
        var failures = new Exception?[messages.Count];
        if (messages.Count > 0 && await EnqueueAsync(new Publication(topic, messages)) is { } failure)
            Array.Fill(failures, failure);
        return failures;
    }

    public async Task RegisterAsync(TopicSubscription subscription, CancellationToken cancellationToken)
    {
        if (Find(subscription) is null && await EnqueueAsync(new Registration(subscription.Topic, subscription.ConsumerId)) is { } failure)
            throw new IOException($"pubsub.sqlite could not write to {_options.Path}: {failure.Message}", failure);
    }

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
        CancellationToken cancellationToken) => JoinAsync(subscription, new(Math.Min(maxMessages, _options.MaxUnfinished), 1, handler), cancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (_work.IsAddingCompleted)
            return;

        foreach (var consumer in _topics.Values.SelectMany(topic => topic.Consumers))
            consumer.Dispose();
        _work.CompleteAdding();
        await _writing;
        await _acknowledging.DisposeAsync();
        _store.Dispose();
        _work.Dispose();
    }

    private async Task<IAsyncDisposable> JoinAsync(TopicSubscription subscription, Subscriber subscriber, CancellationToken cancellationToken)
    {
        await RegisterAsync(subscription, cancellationToken);
        return Find(subscription)!.Join(subscriber);
    }

    private ConsumerGroup? Find(TopicSubscription subscription) => _topics.TryGetValue(subscription.Topic, out var topic)
        ? topic.Consumers.FirstOrDefault(consumer => consumer.Name == subscription.ConsumerId)
        : null;

    private ConsumerGroup AddConsumer(Topic topic, ConsumerState state)
    {
        var consumer = new ConsumerGroup(topic.Name, state, topic.LastPlace, _store, _options, Acknowledge, _logger, _time);
        topic.Consumers = [.. topic.Consumers, consumer];
        return consumer;
    }

    private Task<Exception?> EnqueueAsync(Work work)
    {
        try
        {
            _work.Add(work);
            return work.Written;
        }
        catch (InvalidOperationException)
        {
            return Task.FromResult<Exception?>(new ObjectDisposedException(nameof(SqlitePubSub)));
        }
    }

    /// <summary>The one writer. Ends when the component is disposed and everything is written.</summary>
    private void Write()
    {
        var batch = new List<Work>();
        foreach (var first in _work.GetConsumingEnumerable())
        {
            batch.Clear();
            var messages = 0;
            var next = first;
            do
            {
                batch.Add(next);
                messages += next.Size;
            }
            while (messages < MaxCommitMessages && _work.TryTake(out next));

            Commit(batch);
        }

        Commit([]);
    }

    private void Acknowledge(ConsumerGroup consumer)
    {
        _changed.Enqueue(consumer);
        if (Interlocked.Exchange(ref _acknowledgementsDue, 1) == 0)
            _acknowledging.Change(AcknowledgementDelay, Timeout.InfiniteTimeSpan);
    }

    private void Commit(List<Work> batch)
    {
        var published = new List<(Topic Topic, StoredMessage Message)>();
        var registered = new List<(Topic Topic, ConsumerState State)>();
        var changed = TakeChanged();
        IReadOnlyList<(Topic Topic, long UpTo)> removable = [];
        try
        {
            using var transaction = _store.Begin();
            foreach (var work in batch)
            {
                var topic = _topics.TryGetValue(work.Topic, out var known) ? known : registered.Find(one => one.Topic.Name == work.Topic).Topic;
                switch (work)
                {
                    case Registration registration:
                        if (topic is null)
                            _store.AddTopic(transaction, (topic = new(work.Topic, ++_lastTopicNumber)).Number, work.Topic);
                        var state = new ConsumerState(registration.Consumer, topic.Number, topic.LastPlace, []);
                        if (topic.Consumers.Any(consumer => consumer.Name == state.Consumer) || registered.Exists(one => one.State.Consumer == state.Consumer && one.Topic == topic))
                            break;
                        _store.Save(transaction, state);
                        registered.Add((topic, state));
                        break;
                    case Publication publication when topic is not null:
                        foreach (var message in publication.Messages)
                        {
                            var stored = new StoredMessage(++topic.LastPlace, message);
                            _store.Add(transaction, topic.Number, stored);
                            published.Add((topic, stored));
                        }

                        break;
                    default:
                        break;
                }
            }

            foreach (var consumer in changed)
                _store.Save(transaction, consumer.TakeState());
            removable = Removable();
            foreach (var (topic, upTo) in removable)
                _store.RemoveUpTo(transaction, topic.Number, upTo);
            transaction.Commit();
        }
        catch (Exception error)
        {
            _logger.LogError(error, "pubsub.sqlite could not commit {Messages} messages to {Path}", published.Count, _options.Path);
            foreach (var consumer in changed)
                consumer.MarkChanged();
            foreach (var work in batch)
                work.Complete(error);
            return;
        }

        foreach (var (topic, upTo) in removable)
            topic.RemovedUpTo = upTo;
        foreach (var (topic, state) in registered)
        {
            _topics[topic.Name] = topic;
            AddConsumer(topic, state);
        }

        foreach (var messages in published.GroupBy(one => one.Topic, one => one.Message))
        {
            var list = messages.ToArray();
            foreach (var consumer in messages.Key.Consumers)
                consumer.Append(list);
        }

        foreach (var work in batch)
            work.Complete(null);
    }

    private List<ConsumerGroup> TakeChanged()
    {
        Volatile.Write(ref _acknowledgementsDue, 0);
        var changed = new List<ConsumerGroup>();
        while (_changed.TryDequeue(out var consumer))
            changed.Add(consumer);
        return changed;
    }

    /// <summary>What every consumer of a topic has finished, looked for now and then.</summary>
    private List<(Topic Topic, long UpTo)> Removable()
    {
        if (_time.GetElapsedTime(_lastCompaction) < CompactionInterval)
            return [];

        _lastCompaction = _time.GetTimestamp();
        return [.. _topics.Values
            .Select(topic => (Topic: topic, UpTo: topic.Consumers.Min(consumer => consumer.SavedFinishedUpTo)))
            .Where(one => one.UpTo > one.Topic.RemovedUpTo)];
    }

    /// <summary>Changed by the writer only; the list of consumers is replaced, never changed.</summary>
    private sealed class Topic(string name, int number)
    {
        public string Name { get; } = name;

        public int Number { get; } = number;

        public long LastPlace { get; set; }

        public long RemovedUpTo { get; set; }

        public IReadOnlyList<ConsumerGroup> Consumers { get; set; } = [];
    }

    private abstract class Work(string topic)
    {
        private readonly TaskCompletionSource<Exception?> _written = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public string Topic { get; } = topic;

        public abstract int Size { get; }

        /// <summary>Null, or why it was not written.</summary>
        public Task<Exception?> Written => _written.Task;

        public void Complete(Exception? failure) => _written.TrySetResult(failure);
    }

    private sealed class Publication(string topic, IReadOnlyList<BrokerMessage> messages) : Work(topic)
    {
        public IReadOnlyList<BrokerMessage> Messages { get; } = messages;

        public override int Size => Messages.Count;
    }

    /// <summary>Only wakes the writer: it saves what consumers have finished with every commit.</summary>
    private sealed class Acknowledgements() : Work("")
    {
        public override int Size => 0;
    }

    private sealed class Registration(string topic, string consumer) : Work(topic)
    {
        public string Consumer { get; } = consumer;

        public override int Size => 1;
    }
}
