using System.Collections.Concurrent;

namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>The one writer: a commit takes whatever queued while the last one ran, and now and then what consumers have finished by then.</summary>
internal sealed class GroupCommit : IAsyncDisposable
{
    private const int MaxCommitMessages = 4096;

    /// <summary>Publishers may invent topics; further ones keep nothing until somebody subscribes.</summary>
    private const int MostUnheardTopics = 1_000;

    /// <summary>Finished messages are noted after this long, together; a crash before it delivers them again.</summary>
    private static readonly TimeSpan AcknowledgementDelay = TimeSpan.FromMilliseconds(50);

    /// <summary>When finished messages could not be noted, for want of space as a rule, they are noted this much later.</summary>
    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan TellFailuresEvery = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan CompactionInterval = TimeSpan.FromSeconds(1);

    private readonly Topics _topics;
    private readonly MessageStore _store;
    private readonly SqlitePubSubOptions _options;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly WriterQueue<Work> _work = new();
    private readonly ConcurrentQueue<ConsumerGroup> _changed = new();
    private readonly ITimer _acknowledging;
    private Task _writing = Task.CompletedTask;
    private int _acknowledgementsDue;
    private long _lastCompaction;
    private long? _failureTold;
    private bool _toldOfUnheard;

    public GroupCommit(Topics topics, MessageStore store, SqlitePubSubOptions options, ILogger logger, TimeProvider time)
    {
        (_topics, _store, _options, _logger, _time) = (topics, store, options, logger, time);
        _lastCompaction = time.GetTimestamp();
        _acknowledging = time.CreateTimer(_ => _ = EnqueueAsync(new Acknowledgements()), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public bool IsStopping => _work.IsClosed;

    /// <summary>Once the topics are loaded.</summary>
    public void Start() => _writing = Task.Factory.StartNew(Write, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>Ends when it is on disk: null, or why it is not.</summary>
    public Task<Exception?> EnqueueAsync(Work work) =>
        _work.TryAdd(work) ? work.Written : Task.FromResult<Exception?>(new ObjectDisposedException(nameof(SqlitePubSub)));

    /// <summary>What it has finished is to be saved.</summary>
    public void Acknowledge(ConsumerGroup consumer)
    {
        _changed.Enqueue(consumer);
        if (Interlocked.Exchange(ref _acknowledgementsDue, 1) == 0)
            _acknowledging.Change(AcknowledgementDelay, Timeout.InfiniteTimeSpan);
    }

    /// <summary>When everything is written.</summary>
    public async ValueTask DisposeAsync()
    {
        _work.Close();
        await _writing;
        await _acknowledging.DisposeAsync();
        _work.Dispose();
    }

    /// <summary>The one writer. Ends when the component is disposed and everything is written.</summary>
    private void Write()
    {
        var (queued, batch) = (new List<Work>(), new List<Work>());
        while (_work.TakeAll(ref queued))
        {
            for (var next = 0; next < queued.Count;)
            {
                for (var messages = 0; next < queued.Count && messages < MaxCommitMessages; next++)
                {
                    batch.Add(queued[next]);
                    messages += queued[next].Size;
                }

                Commit(batch);
                batch.Clear();
            }
        }

        Commit([]);
    }

    /// <summary>Whatever happens, everybody in the batch has an answer afterwards, and the writer lives on.</summary>
    private void Commit(List<Work> batch)
    {
        try
        {
            var changed = NotesFinished(batch) ? TakeChanged() : [];
            var failure = TryCommit(batch, changed);
            // What was finished makes room, so it must not fail with the messages that found none.
            if (failure is not null)
            {
                changed.AddRange(TakeChanged());
                if (batch.TrueForAll(work => work.Size == 0) || TryCommit([], changed) is not null)
                    SaveLater(changed);
            }

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

    /// <summary>Null when all of it is on disk; else why nothing is.</summary>
    private Exception? TryCommit(List<Work> batch, List<ConsumerGroup> changed)
    {
        var commit = new PendingCommit();
        try
        {
            // Nobody waits for what is only finished, and what is lost of it comes again.
            _store.Begin(untilOnDisk: batch.Exists(work => work.Size > 0));
            foreach (var work in batch)
                Write(work, commit);
            foreach (var consumer in changed)
                _store.Save(consumer.TakeState());
            foreach (var (topic, upTo) in commit.Removable = NotesFinished(batch) ? Removable() : [])
                _store.RemoveUpTo(topic.Number, upTo);
            _store.Commit();
            // Not before: the attempt that a full disk calls for must remove what this one could not.
            if (commit.Removable.Count > 0)
                _lastCompaction = _time.GetTimestamp();
        }
        catch (Exception error)
        {
            _store.RollBackIfOpen();
            foreach (var (_, consumer) in commit.Consumers)
                consumer.Dispose();
            foreach (var work in batch)
                work.Complete(error);
            return error;
        }

        foreach (var (topic, upTo) in commit.Removable)
            topic.RemovedUpTo = upTo;
        foreach (var topic in commit.Topics)
            _topics.Add(topic);
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

    /// <summary>Not every commit does: where much is published, each consumer has finished something between two.</summary>
    private static bool NotesFinished(List<Work> batch) => batch.Count == 0 || batch.Exists(work => work is Acknowledgements);

    private void Write(Work work, PendingCommit commit)
    {
        switch (work)
        {
            case Registration { Subscription: var subscription }:
                Register(subscription, commit);
                break;
            case Publication publication when (Known(publication.Topic, commit) ?? AddUnheardTopic(publication.Topic, commit)) is { } to:
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
    }

    private void Register(TopicSubscription subscription, PendingCommit commit)
    {
        var topic = Known(subscription.Topic, commit) ?? AddTopic(subscription.Topic, commit);
        if (subscription.DeadLetterTopic is { } deadLetters)
            (Known(deadLetters, commit) ?? AddTopic(deadLetters, commit)).HoldsLetters = true;
        if (topic.Consumers.Concat(commit.Consumers.Where(one => one.Topic == topic).Select(one => one.Consumer)).Any(consumer => consumer.Name == subscription.ConsumerId))
            return;
        // The first gets what the topic has kept for it.
        var isFirst = topic.Consumers.Count == 0 && !commit.Consumers.Exists(one => one.Topic == topic);
        var state = new ConsumerState(subscription.ConsumerId, topic.Number, isFirst ? 0 : topic.LastPlace, []);
        _store.Save(state);
        commit.Consumers.Add((topic, _topics.NewConsumer(topic, state)));
    }

    private Topic? Known(string name, PendingCommit commit) => _topics.Find(name) ?? commit.Topics.Find(one => one.Name == name);

    private Topic? AddUnheardTopic(string name, PendingCommit commit)
    {
        var unheard = _topics.All.Count(topic => topic.Consumers.Count == 0) + commit.Topics.Count;
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
        return AddTopic(name, commit);
    }

    private Topic AddTopic(string name, PendingCommit commit)
    {
        var added = _topics.New(name);
        _store.AddTopic(added.Number, name);
        commit.Topics.Add(added);
        return added;
    }

    private List<ConsumerGroup> TakeChanged()
    {
        Volatile.Write(ref _acknowledgementsDue, 0);
        var changed = new List<ConsumerGroup>();
        while (_changed.TryDequeue(out var consumer))
            changed.Add(consumer);
        return changed;
    }

    /// <summary>Now and then.</summary>
    private List<(Topic Topic, long UpTo)> Removable() => _time.GetElapsedTime(_lastCompaction) < CompactionInterval
        ? []
        : [.. _topics.All.Select(topic => (Topic: topic, UpTo: topic.RemovableUpTo)).Where(one => one.UpTo > one.Topic.RemovedUpTo)];

    /// <summary>What a commit changes in memory once it is on disk.</summary>
    private sealed class PendingCommit
    {
        public List<Topic> Topics { get; } = [];

        public List<(Topic Topic, ConsumerGroup Consumer)> Consumers { get; } = [];

        public List<(Topic Topic, StoredMessage Message)> Published { get; } = [];

        public List<(Topic Topic, long UpTo)> Removable { get; set; } = [];
    }
}
