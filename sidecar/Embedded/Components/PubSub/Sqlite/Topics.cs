using System.Collections.Concurrent;

namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>The topics that are on disk, and their consumers. Read by everybody, changed by the writer.</summary>
internal sealed class Topics(MessageStore store, Func<Topic, ConsumerState, ConsumerGroup> newConsumer, ILogger logger)
{
    private readonly ConcurrentDictionary<string, Topic> _topics = new();
    private int _lastNumber;

    public IEnumerable<Topic> All => _topics.Values;

    public Topic? Find(string name) => _topics.GetValueOrDefault(name);

    public ConsumerGroup? Find(TopicSubscription subscription) => Find(subscription.Topic)?.Consumers.FirstOrDefault(consumer => consumer.Name == subscription.ConsumerId);

    /// <summary>Nothing of it is still to be written.</summary>
    public bool IsKnown(TopicSubscription subscription) =>
        Find(subscription) is not null && (subscription.DeadLetterTopic is not { } letters || Find(letters) is { HoldsLetters: true });

    public ConsumerGroup NewConsumer(Topic topic, ConsumerState state) => newConsumer(topic, state);

    /// <summary>One that is still to be added, when it is on disk.</summary>
    public Topic New(string name) => new(name, ++_lastNumber);

    public void Add(Topic topic) => _topics[topic.Name] = topic;

    /// <summary>What is on disk, without those who are to be forgotten.</summary>
    public void Load(IReadOnlyList<string> forget)
    {
        if (forget.Count > 0)
            Forget(forget);
        var byNumber = new Dictionary<int, Topic>();
        foreach (var state in store.ReadTopics())
            byNumber[state.Number] = _topics[state.Name] = new(state.Name, state.Number) { LastPlace = state.LastPlace };
        foreach (var state in store.ReadConsumers())
        {
            var topic = byNumber[state.Topic];
            topic.Consumers = [.. topic.Consumers, newConsumer(topic, state)];
            if (store.CountOpen(state) is > 0 and var open)
            {
                logger.LogInformation(
                    "Consumer {Consumer} has {Messages} messages of topic {Topic} to come. They are kept until it comes; if it never will, name it in forgetConsumers.",
                    state.Consumer, open, topic.Name);
            }
        }

        _lastNumber = byNumber.Keys.DefaultIfEmpty(0).Max();
    }

    /// <summary>Those who are named, and the topics that then have no consumer any more.</summary>
    private void Forget(IReadOnlyList<string> named)
    {
        var topics = store.ReadTopics().ToDictionary(topic => topic.Number);
        var consumers = store.ReadConsumers();
        var forgotten = consumers.Where(IsNamed).ToList();
        if (forgotten.Count == 0)
            return;

        store.Begin();
        foreach (var consumer in forgotten)
            store.Remove(consumer);
        foreach (var topic in forgotten.Select(consumer => consumer.Topic).Except(consumers.Except(forgotten).Select(consumer => consumer.Topic)))
            store.RemoveTopic(topic);
        store.Commit();

        foreach (var consumer in forgotten)
            logger.LogWarning("Consumer {Consumer} of topic {Topic} was forgotten, as forgetConsumers says", consumer.Consumer, topics[consumer.Topic].Name);

        bool IsNamed(ConsumerState consumer) => named.Contains(consumer.Consumer) || named.Contains($"{consumer.Consumer}/{topics[consumer.Topic].Name}");
    }
}

/// <summary>Changed by the writer only; the list of consumers is replaced, never changed.</summary>
internal sealed class Topic(string name, int number)
{
    /// <summary>In a topic that nobody has subscribed to, and that holds no dead letters.</summary>
    private const int MostUnheard = 100_000;

    public string Name { get; } = name;

    public int Number { get; } = number;

    public long LastPlace { get; set; }

    public long RemovedUpTo { get; set; }

    /// <summary>It is somebody's dead-letter topic.</summary>
    public bool HoldsLetters { get; set; }

    /// <summary>Published to since the start: until then nobody may have said yet that it is a dead-letter topic.</summary>
    public bool IsInUse { get; set; }

    public IReadOnlyList<ConsumerGroup> Consumers { get; set; } = [];

    /// <summary>What every consumer has finished, and what is too much where there is none.</summary>
    public long RemovableUpTo =>
        Consumers.Count > 0 ? Consumers.Min(consumer => consumer.SavedFinishedUpTo)
        : HoldsLetters || !IsInUse ? 0
        : LastPlace - MostUnheard;
}
