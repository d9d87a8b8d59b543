using System.Collections.Concurrent;
using Confluent.Kafka;

namespace EmbeddedSidecar.Components.PubSub.Kafka;

/// <summary>
/// One subscription: a member of its group by itself, so that what happens to others does not happen to it. It looks for a broker that is away for as
/// long as it takes. When the group shares its partitions out anew, what is in hand is finished first.
/// </summary>
internal sealed class KafkaTopic : BrokerSubscription
{
    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    /// <summary>Longer than that the group does not wait for what is in hand: it then comes again to somebody else.</summary>
    private static readonly TimeSpan LastHandling = TimeSpan.FromSeconds(10);

    /// <summary>For what must be asked of the broker when a partition comes.</summary>
    private static readonly TimeSpan AskLimit = TimeSpan.FromSeconds(5);

    /// <summary>At the end, the group is told so long.</summary>
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(5);

    private readonly TopicSubscription _subscription;
    private readonly int _maxMessages;
    private readonly Func<IMessageBatch, CancellationToken, Task> _handler;
    private readonly KafkaPubSubOptions _options;
    private readonly ComponentContext _context;
    private readonly ConcurrentDictionary<TopicPartition, KafkaPartition> _partitions = [];
    private readonly Task _polling;
    private volatile bool _isClosing;
    private string? _told;

    public KafkaTopic(
        TopicSubscription subscription,
        int maxMessages,
        Func<IMessageBatch, CancellationToken, Task> handler,
        KafkaPubSubOptions options,
        ComponentContext context,
        CancellationToken stopping)
        : base(stopping)
    {
        (_subscription, _maxMessages, _handler) = (subscription, maxMessages, handler);
        (_options, _context) = (options, context);
        _polling = Task.Factory.StartNew(PollUntilEnd, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    protected override Task TakesNoMoreAsync() => Task.WhenAll(_partitions.Values.Select(partition => partition.EndAsync()));

    protected override async ValueTask CloseAsync()
    {
        _isClosing = true;
        try
        {
            await _polling.WaitAsync(LastWords, _context.Time);
        }
        catch (TimeoutException)
        {
            _context.Logger.LogWarning(
                "Kafka did not hear that {Consumer} has left topic {Topic}: its partitions are free after the session timeout, and what was handled last may come again",
                _subscription.ConsumerId, _subscription.Topic);
        }
    }

    private void PollUntilEnd()
    {
        while (!_isClosing)
        {
            try
            {
                using var consumer = Open();
                PollUntilEnd(consumer);
                consumer.Close();
            }
            catch (Exception error)
            {
                _context.Logger.LogError(
                    "Topic {Topic} cannot be read from Kafka for {Consumer}; subscribed again in {Seconds} s: {Reason}",
                    _subscription.Topic, _subscription.ConsumerId, _options.ReopenWait.TotalSeconds, error.Message);
                Lose(_partitions.Keys);
                Ended.WaitHandle.WaitOne(_options.ReopenWait);
            }
        }
    }

    private IConsumer<byte[]?, byte[]?> Open()
    {
        var config = new ConsumerConfig(new Dictionary<string, string>(_options.Consumer)) { GroupId = _options.Group ?? _subscription.ConsumerId };
        var consumer = new ConsumerBuilder<byte[]?, byte[]?>(config)
            .SetPartitionsAssignedHandler((consumer, partitions) => partitions.Select(partition => Take(consumer, partition)).ToList())
            .SetPartitionsRevokedHandler((_, partitions) => GiveUp(partitions.ConvertAll(one => one.TopicPartition)))
            .SetPartitionsLostHandler((_, partitions) => Lose(partitions.ConvertAll(one => one.TopicPartition)))
            .SetErrorHandler((_, error) => Tell(error))
            .SetLogHandler((_, log) => _context.Logger.LogDebug("{Client}: {Text}", log.Name, log.Message))
            .Build();
        consumer.Subscribe(_subscription.Topic);
        return consumer;
    }

    private void PollUntilEnd(IConsumer<byte[]?, byte[]?> consumer)
    {
        while (!_isClosing)
        {
            try
            {
                if (consumer.Consume(Poll) is not { } record)
                    continue;
                _told = null;
                if (_partitions.TryGetValue(record.TopicPartition, out var partition))
                    partition.Add(record);
            }
            catch (ConsumeException failure) when (!failure.Error.IsFatal)
            {
                Tell(failure.Error);
            }
        }
    }

    /// <summary>Where it begins.</summary>
    private TopicPartitionOffset Take(IConsumer<byte[]?, byte[]?> consumer, TopicPartition partition)
    {
        _partitions[partition] = new(
            partition, consumer, _subscription.ConsumerId, _maxMessages, _handler, _options, _context, Ended, Stopping);
        return new(partition, _options.Consumer.AutoOffsetReset == AutoOffsetReset.Latest ? BeginningOf(consumer, partition) : Offset.Unset);
    }

    /// <summary>
    /// The end of a partition that the group has not read yet is noted at once: until its first message it would be another one after each rebalance.
    /// </summary>
    private Offset BeginningOf(IConsumer<byte[]?, byte[]?> consumer, TopicPartition partition)
    {
        try
        {
            if (consumer.Committed([partition], AskLimit)[0].Offset is { IsSpecial: false })
                return Offset.Unset;
            var end = new TopicPartitionOffset(partition, consumer.QueryWatermarkOffsets(partition, AskLimit).High);
            consumer.Commit([end]);
            _context.Logger.LogInformation("{Partition} begins at {Offset} for {Consumer}, a new group", partition, end.Offset.Value, _subscription.ConsumerId);
            return end.Offset;
        }
        catch (KafkaException error)
        {
            _context.Logger.LogWarning("The end of {Partition} is not noted for {Consumer}: {Reason}", partition, _subscription.ConsumerId, error.Message);
            return Offset.Unset;
        }
    }

    /// <summary>On return the partitions are somebody else's; how far they were handled is told by the client.</summary>
    private void GiveUp(List<TopicPartition> partitions)
    {
        var ending = partitions.Select(partition => _partitions.GetValueOrDefault(partition)?.EndAsync() ?? Task.CompletedTask).ToArray();
        if (!Task.WaitAll(ending, LastHandling))
            _context.Logger.LogWarning(
                "Topic {Topic} is shared out anew while {Consumer} has messages in hand: they come again", _subscription.Topic, _subscription.ConsumerId);
        Lose(partitions);
    }

    private void Lose(IEnumerable<TopicPartition> partitions)
    {
        foreach (var partition in partitions)
        {
            if (!_partitions.TryRemove(partition, out var lost))
                continue;
            lost.Lose();
            _ = lost.EndAsync();
        }
    }

    /// <summary>Once, and not for each try.</summary>
    private void Tell(Error error)
    {
        if (error.Code is ErrorCode.Local_Transport or ErrorCode.Local_Resolve || error.Reason == _told)
            return;
        _told = error.Reason;
        _context.Logger.LogWarning("Topic {Topic} of {Consumer}, tried on until it goes: {Reason}", _subscription.Topic, _subscription.ConsumerId, error.Reason);
    }
}
