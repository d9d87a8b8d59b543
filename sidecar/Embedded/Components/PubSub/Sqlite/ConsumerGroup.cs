namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>
/// The subscriptions of one consumer id to one topic, and what they have had. Messages come from memory as they are committed; a
/// consumer that has fallen behind, or just started, reads them from the store.
/// </summary>
internal sealed class ConsumerGroup : IDisposable
{
    private const int ReadAtOnce = 500;
    private const int MaxReadyBytes = 16 * 1024 * 1024;

    private readonly Lock _lock = new();
    private readonly MessageStore _store;
    private readonly SqlitePubSubOptions _options;
    private readonly Action<ConsumerGroup> _announceChange;
    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly ITimer _redelivery;
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationToken _stop;
    private readonly string _topic;
    private readonly int _topicNumber;
    private readonly List<Subscriber> _subscribers = [];
    private readonly Queue<StoredMessage> _ready = new();
    private readonly Queue<StoredMessage> _again = new();
    private readonly Queue<(long Since, StoredMessage Message)> _resting = new();
    private readonly SortedSet<long> _unfinished;
    private IReadOnlyList<long> _leftOver;
    private int _readyBytes;
    private long _position;
    private long _readUpTo;
    private long _committed;
    private int _nextSubscriber;
    private bool _dispatching;
    private bool _changed;

    public ConsumerGroup(
        string topic,
        ConsumerState state,
        long committed,
        MessageStore store,
        SqlitePubSubOptions options,
        Action<ConsumerGroup> announceChange,
        ILogger logger,
        TimeProvider time)
    {
        (Name, _topic, _topicNumber) = (state.Consumer, topic, state.Topic);
        (_store, _options, _announceChange, _logger, _time) = (store, options, announceChange, logger, time);
        _position = _readUpTo = state.Position;
        _committed = committed;
        _unfinished = [.. state.Unfinished];
        _leftOver = state.Unfinished;
        SavedFinishedUpTo = FinishedUpTo;
        _stop = _stopping.Token;
        _redelivery = time.CreateTimer(_ => Redeliver(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public string Name { get; }

    /// <summary>All up to here are finished, by what was given to the writer last.</summary>
    public long SavedFinishedUpTo { get; private set; }

    private long FinishedUpTo => _unfinished.Count == 0 ? _position : _unfinished.Min - 1;

    private bool IsBehind => _readUpTo < _committed;

    public IAsyncDisposable Join(Subscriber subscriber)
    {
        lock (_lock)
            _subscribers.Add(subscriber);
        Dispatch();
        return new Membership(this, subscriber);
    }

    /// <summary>By the writer: these were committed just now.</summary>
    public void Append(IReadOnlyList<StoredMessage> messages)
    {
        lock (_lock)
        {
            var inStep = !IsBehind && _subscribers.Count > 0;
            _committed = messages[^1].Place;
            for (var i = 0; inStep && i < messages.Count && _readyBytes < MaxReadyBytes; i++)
            {
                // A run that was reading may have seen them in the store before they were told here.
                if (messages[i].Place > _readUpTo)
                    AddReady(messages[i]);
            }
        }

        Dispatch();
    }

    /// <summary>By the writer: what to save.</summary>
    public ConsumerState TakeState()
    {
        lock (_lock)
        {
            _changed = false;
            SavedFinishedUpTo = FinishedUpTo;
            return new(Name, _topicNumber, _position, [.. _unfinished]);
        }
    }

    public void MarkChanged()
    {
        lock (_lock)
        {
            if (_changed)
                return;
            _changed = true;
        }

        _announceChange(this);
    }

    /// <summary>Hands nothing over any more and cancels the handlers that still run; their messages stay unfinished.</summary>
    public void Dispose()
    {
        _redelivery.Dispose();
        _stopping.Cancel();
        _stopping.Dispose();
    }

    private void AddReady(StoredMessage message)
    {
        _ready.Enqueue(message);
        _readyBytes += message.Message.Data.Length;
        _readUpTo = message.Place;
    }

    /// <summary>Hands over what can be handed over, on the thread pool; one run at a time, so that messages start in order.</summary>
    private void Dispatch()
    {
        lock (_lock)
        {
            if (_dispatching || _stop.IsCancellationRequested)
                return;
            _dispatching = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(static group => group.RunDispatch(), this, preferLocal: false);
    }

    private void RunDispatch()
    {
        try
        {
            while (TakeTurn() is { } batch)
                _ = RunAsync(batch);
        }
        catch (Exception error) when (_stop.IsCancellationRequested)
        {
            _logger.LogDebug(error, "Reading messages of topic {Topic} for {Consumer} ends with the component", _topic, Name);
        }
        catch (Exception error)
        {
            lock (_lock)
                _dispatching = false;
            _redelivery.Change(_options.RedeliverInterval, Timeout.InfiniteTimeSpan);
            _logger.LogError(
                error, "Messages of topic {Topic} could not be read for {Consumer}; tried again in {Interval}",
                _topic, Name, _options.RedeliverInterval);
        }
    }

    /// <summary>The next batch and who gets it; null when there is nothing to do, and the run is over.</summary>
    private Batch? TakeTurn()
    {
        while (true)
        {
            long readAfter, committed;
            IReadOnlyList<long> leftOver;
            lock (_lock)
            {
                var subscriber = _stop.IsCancellationRequested ? null : FreeSubscriber();
                if (subscriber is not null && (_again.Count > 0 || (_ready.Count > 0 && _unfinished.Count < _options.MaxUnfinished)))
                    return Take(subscriber);
                if (subscriber is null || (_leftOver.Count == 0 && (_ready.Count > 0 || !IsBehind)))
                {
                    _dispatching = false;
                    return null;
                }

                (readAfter, committed, leftOver) = (_readUpTo, _committed, _leftOver);
            }

            // Only this run reads, and while it is behind nobody else moves _readUpTo.
            var unfinished = leftOver.Count > 0 ? _store.ReadPlaces(_topicNumber, leftOver) : [];
            var next = leftOver.Count > 0 ? [] : _store.ReadAfter(_topicNumber, readAfter, ReadAtOnce);
            lock (_lock)
            {
                _leftOver = [];
                _unfinished.ExceptWith(leftOver.Except(unfinished.Select(message => message.Place)));
                foreach (var message in unfinished)
                    _again.Enqueue(message);
                foreach (var message in next)
                    AddReady(message);
                // Places of a commit that failed are never filled.
                if (leftOver.Count == 0 && next.Count == 0)
                    _readUpTo = committed;
            }
        }
    }

    private Batch Take(Subscriber subscriber)
    {
        var messages = new List<StoredMessage>();
        while (messages.Count < subscriber.MaxMessages && _again.TryDequeue(out var message))
            messages.Add(message);
        while (messages.Count < subscriber.MaxMessages && _unfinished.Count < _options.MaxUnfinished && _ready.TryDequeue(out var message))
        {
            _readyBytes -= message.Message.Data.Length;
            _position = message.Place;
            _unfinished.Add(message.Place);
            messages.Add(message);
        }

        subscriber.Open++;
        subscriber.Running++;
        return new(this, subscriber, messages);
    }

    private Subscriber? FreeSubscriber()
    {
        for (var i = 0; i < _subscribers.Count; i++)
        {
            var subscriber = _subscribers[(_nextSubscriber + i) % _subscribers.Count];
            if (subscriber.Open >= subscriber.MaxOpen)
                continue;
            _nextSubscriber = (_nextSubscriber + i + 1) % _subscribers.Count;
            return subscriber;
        }

        return null;
    }

    private async Task RunAsync(Batch batch)
    {
        try
        {
            await batch.Subscriber.Handler(batch, _stop);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // They stay unfinished: the next start delivers them again.
            return;
        }
        catch (Exception error)
        {
            batch.End();
            _logger.LogError(
                error, "Delivering {Count} messages of topic {Topic} to {Consumer} failed", batch.Messages.Count, _topic, Name);
            return;
        }

        batch.End();
    }

    private void Finished(StoredMessage message, DeliveryResult result)
    {
        var madeRoom = false;
        lock (_lock)
        {
            if (result == DeliveryResult.Done)
            {
                madeRoom = _unfinished.Count == _options.MaxUnfinished;
                _unfinished.Remove(message.Place);
            }
            else
            {
                _resting.Enqueue((_time.GetTimestamp(), message));
                if (_resting.Count == 1 && !_stop.IsCancellationRequested)
                    _redelivery.Change(_options.RedeliverInterval, Timeout.InfiniteTimeSpan);
            }
        }

        if (result != DeliveryResult.Done)
        {
            _logger.LogWarning(
                "Message {Place} of topic {Topic} failed at {Consumer}; it is delivered again in {Interval}",
                message.Place, _topic, Name, _options.RedeliverInterval);
        }

        // Not only the end of a batch lets new ones come: a straggler of an opened batch may be what they waited for.
        if (madeRoom)
            Dispatch();
    }

    private void Redeliver()
    {
        lock (_lock)
        {
            while (_resting.TryPeek(out var first))
            {
                var rest = _options.RedeliverInterval - _time.GetElapsedTime(first.Since);
                if (rest > TimeSpan.FromMilliseconds(1))
                {
                    if (!_stop.IsCancellationRequested)
                        _redelivery.Change(rest, Timeout.InfiniteTimeSpan);
                    break;
                }

                _again.Enqueue(_resting.Dequeue().Message);
            }
        }

        Dispatch();
    }

    private void Freed(Subscriber subscriber, bool ended)
    {
        lock (_lock)
        {
            if (ended)
            {
                subscriber.Running--;
                if (subscriber is { Leaving: { } leaving, Running: 0 })
                    leaving.TrySetResult();
            }
            else
            {
                subscriber.Open--;
            }
        }

        MarkChanged();
        if (!ended)
            Dispatch();
    }

    private sealed class Batch(ConsumerGroup group, Subscriber subscriber, List<StoredMessage> stored) : IMessageBatch
    {
        private readonly bool[] _finished = new bool[stored.Count];
        private bool _opened;

        public Subscriber Subscriber { get; } = subscriber;

        public IReadOnlyList<BrokerMessage> Messages { get; } = stored.ConvertAll(one => one.Message);

        public void Finish(int index, DeliveryResult result)
        {
            if (_finished[index])
                return;
            _finished[index] = true;
            group.Finished(stored[index], result);
        }

        public void LetNextCome()
        {
            if (_opened)
                return;
            _opened = true;
            group.Freed(Subscriber, ended: false);
        }

        public void End()
        {
            for (var i = 0; i < _finished.Length; i++)
                Finish(i, DeliveryResult.Failed);
            LetNextCome();
            group.Freed(Subscriber, ended: true);
        }
    }

    private sealed class Membership(ConsumerGroup group, Subscriber subscriber) : IAsyncDisposable
    {
        public async ValueTask DisposeAsync()
        {
            var leaving = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (group._lock)
            {
                if (!group._subscribers.Remove(subscriber))
                    return;
                subscriber.Leaving = leaving;
                if (subscriber.Running == 0)
                    leaving.TrySetResult();
            }

            await leaving.Task;
        }
    }
}

/// <summary>One subscription: what it takes at once, and how many such batches.</summary>
internal sealed class Subscriber(int maxMessages, int maxOpen, Func<IMessageBatch, CancellationToken, Task> handler)
{
    public int MaxMessages { get; } = maxMessages;

    public int MaxOpen { get; } = maxOpen;

    public Func<IMessageBatch, CancellationToken, Task> Handler { get; } = handler;

    /// <summary>Batches that keep the next one waiting.</summary>
    public int Open { get; set; }

    /// <summary>Batches whose handler has not ended.</summary>
    public int Running { get; set; }

    public TaskCompletionSource? Leaving { get; set; }
}
