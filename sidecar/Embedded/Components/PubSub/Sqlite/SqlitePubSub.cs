using System.Collections.Concurrent;

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
    private const int MaxCommitMessages = 4096;

    /// <summary>In a topic that nobody has subscribed to, and that holds no dead letters.</summary>
    private const int MostUnheard = 100_000;

    /// <summary>Publishers may invent topics; further ones keep nothing until somebody subscribes.</summary>
    private const int MostUnheardTopics = 1_000;

    /// <summary>One is worked on while the next is on its way. More than that gave no more, and batches that are less full.</summary>
    private const int MostBatchesAtOnce = 2;

    /// <summary>Finished messages are noted with the next commit of published ones, or after this long; a crash before it delivers them again.</summary>
    private static readonly TimeSpan AcknowledgementDelay = TimeSpan.FromMilliseconds(50);

    /// <summary>When finished messages could not be noted, for want of space as a rule, they are noted this much later.</summary>
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan TellFailuresEvery = TimeSpan.FromSeconds(30);

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
    private long? _failureTold;
    private int _lastTopicNumber;
    private bool _toldOfUnheard;

    public SqlitePubSub(SqlitePubSubOptions options, ILogger logger, TimeProvider time)
    {
        (_options, _logger, _time) = (options, logger, time);
        _store = new(options.Path, options.MaxPages);
        ForgetConsumers();
        var byNumber = new Dictionary<int, Topic>();
        foreach (var state in _store.ReadTopics())
            byNumber[state.Number] = _topics[state.Name] = new(state.Name, state.Number) { LastPlace = state.LastPlace };
        foreach (var state in _store.ReadConsumers())
        {
            var topic = byNumber[state.Topic];
            topic.Consumers = [.. topic.Consumers, NewConsumer(topic, state)];
            if (_store.CountOpen(state) is > 0 and var open)
            {
                _logger.LogInformation(
                    "Consumer {Consumer} has {Messages} messages of topic {Topic} to come. They are kept until it comes; if it never will, name it in forgetConsumers.",
                    state.Consumer, open, topic.Name);
            }
        }

        _lastTopicNumber = byNumber.Keys.DefaultIfEmpty(0).Max();
        _lastCompaction = time.GetTimestamp();
        _acknowledging = time.CreateTimer(_ => _ = EnqueueAsync(new Acknowledgements()), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        _writing = Task.Factory.StartNew(Write, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public static ComponentType ComponentType { get; } = new(
        "pubsub.sqlite",
        "v1",
        [.. PubSubFields.Common, "connectionString", "concurrency", "redeliverInterval", "forgetConsumers"],
        (metadata, context, _) => Task.FromResult<IAsyncDisposable>(new SqlitePubSub(SqlitePubSubOptions.Read(metadata), context.Logger, context.Time)))
    {
        Paths = ["connectionString"],
    };

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
        if (!IsKnown(subscription) && await EnqueueAsync(new Registration(subscription)) is { } failure)
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
        CancellationToken cancellationToken) => JoinAsync(subscription, new(Math.Min(maxMessages, _options.MaxUnfinished), Math.Min(MostBatchesAtOnce, _options.Concurrency), handler), cancellationToken);

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

    private bool IsKnown(TopicSubscription subscription) =>
        Find(subscription) is not null && (subscription.DeadLetterTopic is not { } letters || (_topics.TryGetValue(letters, out var topic) && topic.HoldsLetters));

    private ConsumerGroup NewConsumer(Topic topic, ConsumerState state) =>
        new(new(topic.Name, topic.Number, topic.LastPlace), state, _store, _options, Acknowledge, _logger, _time);

    /// <summary>Before anything is read: those who are named, and the topics that then have no consumer any more.</summary>
    private void ForgetConsumers()
    {
        if (_options.ForgetConsumers.Count == 0)
            return;

        var topics = _store.ReadTopics().ToDictionary(topic => topic.Number);
        var consumers = _store.ReadConsumers();
        var forgotten = consumers.Where(IsNamed).ToList();
        if (forgotten.Count == 0)
            return;

        using (var transaction = _store.Begin())
        {
            foreach (var consumer in forgotten)
                _store.Remove(consumer);
            foreach (var topic in forgotten.Select(consumer => consumer.Topic).Except(consumers.Except(forgotten).Select(consumer => consumer.Topic)))
                _store.RemoveTopic(topic);
            transaction.Commit();
        }

        foreach (var consumer in forgotten)
            _logger.LogWarning("Consumer {Consumer} of topic {Topic} was forgotten, as forgetConsumers says", consumer.Consumer, topics[consumer.Topic].Name);

        bool IsNamed(ConsumerState consumer) =>
            _options.ForgetConsumers.Contains(consumer.Consumer) || _options.ForgetConsumers.Contains($"{consumer.Consumer}/{topics[consumer.Topic].Name}");
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

    /// <summary>Whatever happens, everybody in the batch has an answer afterwards, and the writer lives on.</summary>
    private void Commit(List<Work> batch)
    {
        try
        {
            var changed = TakeChanged();
            var failure = TryCommit(batch, changed);
            // What was finished makes room, so it must not fail with the messages that found none.
            if (failure is not null && (batch.TrueForAll(work => work.Size == 0) || TryCommit([], changed) is not null))
                SaveLater(changed);
            Tell(failure);
        }
        catch (Exception error)
        {
            foreach (var work in batch)
                work.Complete(error);
        }
    }

    /// <summary>The first failure, one now and then, and the end of them.</summary>
    private void Tell(Exception? failure)
    {
        var isTold = _failureTold is { } told && _time.GetElapsedTime(told) < TellFailuresEvery;
        if (failure is not null && !isTold)
        {
            _failureTold = _time.GetTimestamp();
            _logger.LogError(
                failure, "pubsub.sqlite cannot write to {Path}: nothing more is published until it can, and who publishes is told so", _options.Path);
        }
        else if (failure is null && _failureTold is not null)
        {
            _failureTold = null;
            _logger.LogWarning("pubsub.sqlite writes to {Path} again", _options.Path);
        }
    }

    private void SaveLater(List<ConsumerGroup> consumers)
    {
        foreach (var consumer in consumers)
            _changed.Enqueue(consumer);
        if (consumers.Count > 0 && Interlocked.Exchange(ref _acknowledgementsDue, 1) == 0)
            _acknowledging.Change(RetryDelay, Timeout.InfiniteTimeSpan);
    }

    private void Acknowledge(ConsumerGroup consumer)
    {
        _changed.Enqueue(consumer);
        if (Interlocked.Exchange(ref _acknowledgementsDue, 1) == 0)
            _acknowledging.Change(AcknowledgementDelay, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Null when all of it is on disk; else why nothing is.</summary>
    private Exception? TryCommit(List<Work> batch, List<ConsumerGroup> changed)
    {
        var commit = new PendingCommit();
        try
        {
            // Nobody waits for what is only finished, and what is lost of it comes again.
            using var transaction = _store.Begin(untilOnDisk: batch.Exists(work => work.Size > 0));
            foreach (var work in batch)
                Write(work, commit);
            foreach (var consumer in changed)
                _store.Save(consumer.TakeState());
            foreach (var (topic, upTo) in commit.Removable = Removable())
                _store.RemoveUpTo(topic.Number, upTo);
            transaction.Commit();
            // Not before: the attempt that a full disk calls for must remove what this one could not.
            if (commit.Removable.Count > 0)
                _lastCompaction = _time.GetTimestamp();
        }
        catch (Exception error)
        {
            foreach (var (_, consumer) in commit.Consumers)
                consumer.Dispose();
            foreach (var work in batch)
                work.Complete(error);
            return error;
        }

        foreach (var (topic, upTo) in commit.Removable)
            topic.RemovedUpTo = upTo;
        foreach (var topic in commit.Topics)
            _topics[topic.Name] = topic;
        foreach (var (topic, consumer) in commit.Consumers)
            topic.Consumers = [.. topic.Consumers, consumer];
        // First those who wait for the disk: they are answered whatever becomes of the deliveries.
        foreach (var work in batch)
            work.Complete(null);
        foreach (var messages in commit.Published.GroupBy(one => one.Topic, one => one.Message))
        {
            var list = messages.ToArray();
            foreach (var consumer in messages.Key.Consumers)
                consumer.Append(list);
        }

        return null;
    }

    private void Write(Work work, PendingCommit commit)
    {
        switch (work)
        {
            case Registration { Subscription: var subscription }:
                var topic = Known(subscription.Topic) ?? AddTopic(subscription.Topic);
                if (subscription.DeadLetterTopic is { } deadLetters)
                    (Known(deadLetters) ?? AddTopic(deadLetters)).HoldsLetters = true;
                if (topic.Consumers.Concat(commit.Consumers.Where(one => one.Topic == topic).Select(one => one.Consumer)).Any(consumer => consumer.Name == subscription.ConsumerId))
                    break;
                // The first gets what the topic has kept for it.
                var isFirst = topic.Consumers.Count == 0 && !commit.Consumers.Exists(one => one.Topic == topic);
                var state = new ConsumerState(subscription.ConsumerId, topic.Number, isFirst ? 0 : topic.LastPlace, []);
                _store.Save(state);
                commit.Consumers.Add((topic, NewConsumer(topic, state)));
                break;
            case Publication publication when (Known(work.Topic) ?? AddUnheardTopic(work.Topic)) is { } to:
                to.IsInUse = true;
                foreach (var message in publication.Messages)
                {
                    var stored = new StoredMessage(++to.LastPlace, message);
                    _store.Add(to.Number, stored);
                    commit.Published.Add((to, stored));
                }

                break;
            default:
                break;
        }

        Topic? Known(string name) => _topics.TryGetValue(name, out var known) ? known : commit.Topics.Find(one => one.Name == name);

        Topic? AddUnheardTopic(string name)
        {
            var unheard = _topics.Values.Count(topic => topic.Consumers.Count == 0) + commit.Topics.Count;
            if (unheard >= MostUnheardTopics)
            {
                if (!_toldOfUnheard)
                {
                    _logger.LogWarning(
                        "There are {Topics} topics that nobody has subscribed to; what is published to further ones, such as {Topic}, is not kept", unheard, name);
                }

                _toldOfUnheard = true;
                return null;
            }

            _logger.LogInformation("Nobody has subscribed to topic {Topic}: what is published to it waits for the first who does", name);
            return AddTopic(name);
        }

        Topic AddTopic(string name)
        {
            var added = new Topic(name, ++_lastTopicNumber);
            _store.AddTopic(added.Number, name);
            commit.Topics.Add(added);
            return added;
        }
    }

    private List<ConsumerGroup> TakeChanged()
    {
        Volatile.Write(ref _acknowledgementsDue, 0);
        var changed = new List<ConsumerGroup>();
        while (_changed.TryDequeue(out var consumer))
            changed.Add(consumer);
        return changed;
    }

    /// <summary>What every consumer of a topic has finished, and what is too much where there is none, now and then.</summary>
    private List<(Topic Topic, long UpTo)> Removable() => _time.GetElapsedTime(_lastCompaction) < CompactionInterval
        ? []
        :
        [
            .. _topics.Values.Select(topic => (Topic: topic, UpTo: RemovableUpTo(topic))).Where(one => one.UpTo > one.Topic.RemovedUpTo),
        ];

    private static long RemovableUpTo(Topic topic) =>
        topic.Consumers.Count > 0 ? topic.Consumers.Min(consumer => consumer.SavedFinishedUpTo)
        : topic.HoldsLetters || !topic.IsInUse ? 0
        : topic.LastPlace - MostUnheard;

    /// <summary>Changed by the writer only; the list of consumers is replaced, never changed.</summary>
    private sealed class Topic(string name, int number)
    {
        public string Name { get; } = name;

        public int Number { get; } = number;

        public long LastPlace { get; set; }

        public long RemovedUpTo { get; set; }

        /// <summary>It is somebody's dead-letter topic.</summary>
        public bool HoldsLetters { get; set; }

        /// <summary>Published to since the start: until then nobody may have said yet that it is a dead-letter topic.</summary>
        public bool IsInUse { get; set; }

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

    private sealed class Registration(TopicSubscription subscription) : Work(subscription.Topic)
    {
        public TopicSubscription Subscription { get; } = subscription;

        public override int Size => 1;
    }

    /// <summary>What a commit changes in memory once it is on disk.</summary>
    private sealed class PendingCommit
    {
        public List<Topic> Topics { get; } = [];

        public List<(Topic Topic, ConsumerGroup Consumer)> Consumers { get; } = [];

        public List<(Topic Topic, StoredMessage Message)> Published { get; } = [];

        public List<(Topic Topic, long UpTo)> Removable { get; set; } = [];
    }
}
