using System.Threading.Channels;
using Confluent.Kafka;

namespace EmbeddedSidecar.Components.PubSub.Kafka;

/// <summary>
/// A partition for as long as a subscription has it: its messages are handled in their order, each before the next or, in bulk, each batch. What failed is
/// handled again, and the others wait for it. The place in the partition moves on with what was handled.
/// </summary>
internal sealed class KafkaPartition
{
    private readonly Channel<ConsumeResult<byte[]?, byte[]?>> _waiting =
        Channel.CreateUnbounded<ConsumeResult<byte[]?, byte[]?>>(new() { SingleWriter = true });

    private readonly TopicPartition _partition;
    private readonly IConsumer<byte[]?, byte[]?> _consumer;
    private readonly string _consumerId;
    private readonly int _maxMessages;
    private readonly Func<IMessageBatch, CancellationToken, Task> _handler;
    private readonly KafkaPubSubOptions _options;
    private readonly ComponentContext _context;
    private readonly CancellationToken _ended;
    private readonly CancellationToken _stopping;
    private readonly CancellationTokenSource _over;
    private readonly Lock _lock = new();
    private readonly Task _working;
    private bool _isPaused;
    private bool _isLost;

    /// <param name="ended">Nothing new is begun.</param>
    /// <param name="stopping">What runs is cut off.</param>
    public KafkaPartition(
        TopicPartition partition,
        IConsumer<byte[]?, byte[]?> consumer,
        string consumerId,
        int maxMessages,
        Func<IMessageBatch, CancellationToken, Task> handler,
        KafkaPubSubOptions options,
        ComponentContext context,
        CancellationToken ended,
        CancellationToken stopping)
    {
        (_partition, _consumer, _consumerId, _maxMessages, _handler) = (partition, consumer, consumerId, maxMessages, handler);
        (_options, _context, _ended, _stopping) = (options, context, ended, stopping);
        _over = CancellationTokenSource.CreateLinkedTokenSource(ended);
        _working = Task.Run(WorkAsync, CancellationToken.None);
    }

    public void Add(ConsumeResult<byte[]?, byte[]?> record)
    {
        _waiting.Writer.TryWrite(record);
        lock (_lock)
        {
            if (_isPaused || _waiting.Reader.Count < _options.Buffer)
                return;
            _isPaused = true;
            _consumer.Pause([_partition]);
        }
    }

    /// <summary>Completes when what is in hand is handled, or has failed; the rest comes again.</summary>
    public Task EndAsync()
    {
        _over.Cancel();
        lock (_lock)
            ResumeIfPaused();
        return _working;
    }

    /// <summary>It is somebody else's: what becomes of what is in hand does not count any more.</summary>
    public void Lose()
    {
        lock (_lock)
            _isLost = true;
    }

    private async Task WorkAsync()
    {
        try
        {
            while (await _waiting.Reader.WaitToReadAsync(_over.Token))
            {
                // Known before what is linked to it.
                _ended.ThrowIfCancellationRequested();
                var records = new List<ConsumeResult<byte[]?, byte[]?>>();
                while (records.Count < _maxMessages && _waiting.Reader.TryRead(out var record))
                    records.Add(record);
                await HandleAsync(records);
                lock (_lock)
                {
                    if (_waiting.Reader.Count <= _options.Buffer / 2 && !_over.IsCancellationRequested)
                        ResumeIfPaused();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The end of it.
        }
        catch (Exception error)
        {
            _context.Logger.LogError(error, "Partition {Partition} is not handled any more for {Consumer}: restart its sidecar", _partition, _consumerId);
        }
    }

    private async Task HandleAsync(List<ConsumeResult<byte[]?, byte[]?>> records)
    {
        var open = records;
        for (var retries = 0; ; retries++)
        {
            var batch = new Batch(open.ConvertAll(record => KafkaMessages.Read(record, _options)));
            await HandleAsync(batch);
            var failed = open.Where((_, i) => !batch.IsDone(i)).ToList();
            if (failed.Count == 0)
            {
                MoveTo(records[^1].Offset + 1);
                return;
            }

            MoveTo(failed[0].Offset);
            _over.Token.ThrowIfCancellationRequested();
            if (!_options.Retries || retries == _options.MaxRetries)
            {
                _context.Logger.LogError(
                    "{Count} messages of {Partition} from {Offset} on failed at {Consumer} and are skipped. "
                    + "Retries come from a resiliency policy or consumeRetryEnabled, and a dead-letter topic keeps such",
                    failed.Count, _partition, failed[0].Offset.Value, _consumerId);
                MoveTo(records[^1].Offset + 1);
                return;
            }

            _context.Logger.LogWarning(
                "{Count} messages of {Partition} from {Offset} on failed at {Consumer}: handled again in {Seconds} s, and the partition waits for it",
                failed.Count, _partition, failed[0].Offset.Value, _consumerId, _options.RetryWait.TotalSeconds);
            open = failed;
            await Task.Delay(_options.RetryWait, _context.Time, _over.Token);
        }
    }

    private async Task HandleAsync(Batch batch)
    {
        try
        {
            await _handler(batch, _stopping);
        }
        catch (Exception error)
        {
            if (!_stopping.IsCancellationRequested)
                _context.Logger.LogError(
                    error, "Delivering {Count} messages of {Partition} to {Consumer} failed", batch.Messages.Count, _partition, _consumerId);
        }
    }

    /// <summary>What comes before is handled; Kafka is told within a second, and when the partition is given up.</summary>
    private void MoveTo(Offset offset)
    {
        lock (_lock)
        {
            if (_isLost)
                return;
            try
            {
                _consumer.StoreOffset(new TopicPartitionOffset(_partition, offset));
            }
            catch (Exception error) when (error is KafkaException or ObjectDisposedException)
            {
                _context.Logger.LogDebug(
                    "{Partition} is not {Consumer}'s any more, and what it has handled comes again: {Reason}", _partition, _consumerId, error.Message);
            }
        }
    }

    private void ResumeIfPaused()
    {
        if (!_isPaused)
            return;
        _isPaused = false;
        try
        {
            _consumer.Resume([_partition]);
        }
        catch (Exception error) when (error is KafkaException or ObjectDisposedException)
        {
            _context.Logger.LogDebug("{Partition} is not {Consumer}'s any more: {Reason}", _partition, _consumerId, error.Message);
        }
    }

    private sealed class Batch(List<BrokerMessage> messages) : IMessageBatch
    {
        private readonly bool[] _done = new bool[messages.Count];

        public IReadOnlyList<BrokerMessage> Messages => messages;

        public bool IsDone(int index) => Volatile.Read(ref _done[index]);

        public void Finish(int index, DeliveryResult result) => Volatile.Write(ref _done[index], result == DeliveryResult.Done);

        /// <summary>It does not: they are in order.</summary>
        public void LetNextCome()
        {
        }
    }
}
