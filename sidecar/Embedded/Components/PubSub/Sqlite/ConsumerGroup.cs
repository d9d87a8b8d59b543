namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>The subscriptions of one consumer id to one topic: hands them its messages in turn, and tells the writer what they have finished.</summary>
internal sealed class ConsumerGroup : IDisposable
{
    private readonly Lock _lock = new();
    private readonly ConsumerProgress _progress;
    private readonly Backlog _backlog;
    private readonly Redelivery _redelivery;
    private readonly List<Subscriber> _subscribers = [];
    private readonly MessageStore _store;
    private readonly TopicState _topic;
    private readonly Action<ConsumerGroup> _announceChange;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationToken _stop;
    private IReadOnlyList<long> _openAtLastEnd;
    private bool _dispatching;
    private bool _changed;

    public ConsumerGroup(
        TopicState topic,
        ConsumerState state,
        MessageStore store,
        SqlitePubSubOptions options,
        Action<ConsumerGroup> announceChange,
        ILogger logger,
        TimeProvider time)
    {
        (Name, _topic, _store, _announceChange, _logger) = (state.Consumer, topic, store, announceChange, logger);
        _progress = new(state, options.MaxUnfinished);
        _backlog = new(store, topic.Number, state.Position, topic.LastPlace);
        _redelivery = new(options.RedeliverInterval, time, Dispatch);
        _openAtLastEnd = state.Unfinished;
        SavedFinishedUpTo = _progress.FinishedUpTo;
        _stop = _stopping.Token;
    }

    public string Name { get; }

    /// <summary>All up to here are finished, by what was given to the writer last.</summary>
    public long SavedFinishedUpTo { get; private set; }

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
            _backlog.Append(messages, hold: _subscribers.Count > 0);
        Dispatch();
    }

    /// <summary>By the writer: what to save.</summary>
    public ConsumerState TakeState()
    {
        lock (_lock)
        {
            _changed = false;
            SavedFinishedUpTo = _progress.FinishedUpTo;
            return _progress.State;
        }
    }

    /// <summary>Hands nothing over any more and cancels the handlers that still run; their messages stay unfinished.</summary>
    public void Dispose()
    {
        _redelivery.Dispose();
        _stopping.Cancel();
        _stopping.Dispose();
    }

    /// <summary>Hands over what can be handed over, on the thread pool; one run at a time, so that messages start in order.</summary>
    private void Dispatch()
    {
        lock (_lock)
        {
            if (_dispatching || _subscribers.Count == 0 || _stop.IsCancellationRequested)
                return;
            _dispatching = true;
        }

        ThreadPool.UnsafeQueueUserWorkItem(static group => group.RunDispatch(), this, preferLocal: false);
    }

    private void RunDispatch()
    {
        try
        {
            Resume();
            while (TakeTurn() is { } batch)
                _ = RunAsync(batch);
        }
        catch (Exception error) when (_stop.IsCancellationRequested)
        {
            _logger.LogDebug(error, "Reading messages of topic {Topic} for {Consumer} ends with the component", _topic.Name, Name);
        }
        catch (Exception error)
        {
            lock (_lock)
                _dispatching = false;
            _redelivery.WakeLater();
            _logger.LogError(
                error, "Messages of topic {Topic} could not be read for {Consumer}; tried again in {Interval}", _topic.Name, Name, _redelivery.Rest);
        }
    }

    /// <summary>What was open at the last end comes before anything new.</summary>
    private void Resume()
    {
        if (_openAtLastEnd.Count == 0)
            return;

        var messages = _store.ReadPlaces(_topic.Number, _openAtLastEnd);
        lock (_lock)
        {
            foreach (var place in _openAtLastEnd.Except(messages.Select(message => message.Place)))
                _progress.Finish(place);
        }

        foreach (var message in messages)
            _redelivery.AddOpen(message);
        _openAtLastEnd = [];
    }

    /// <summary>The next batch and who gets it; null when there is nothing to do, and the run is over.</summary>
    private Batch? TakeTurn()
    {
        while (true)
        {
            lock (_lock)
            {
                var subscriber = _stop.IsCancellationRequested ? null : _subscribers.Find(one => one.IsFree);
                if (subscriber is not null && Take(subscriber) is { } batch)
                    return batch;
                if (subscriber is null || !_backlog.MustRead)
                {
                    _dispatching = false;
                    return null;
                }
            }

            _backlog.Read();
        }
    }

    /// <summary>Null where there is nothing that may begin.</summary>
    private Batch? Take(Subscriber subscriber)
    {
        var messages = new List<StoredMessage>();
        while (messages.Count < subscriber.MaxMessages && _redelivery.TryTake(out var again))
            messages.Add(again);
        while (messages.Count < subscriber.MaxMessages && !_progress.IsFull && _backlog.TryTake(out var next))
        {
            _progress.Begin(next.Place);
            messages.Add(next);
        }

        if (messages.Count == 0)
            return null;

        // The others' turn is first.
        _subscribers.Remove(subscriber);
        _subscribers.Add(subscriber);
        subscriber.Begin();
        return new(this, subscriber, messages);
    }

    private async Task RunAsync(Batch batch)
    {
        try
        {
            await batch.Subscriber.Handler(batch, _stop);
            batch.FailRest();
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // They stay unfinished: the next start delivers them again.
        }
        catch (Exception error)
        {
            batch.FailRest();
            _logger.LogError(error, "Delivering {Count} messages of topic {Topic} to {Consumer} failed", batch.Messages.Count, _topic.Name, Name);
        }
        finally
        {
            batch.End();
        }
    }

    private void Finished(StoredMessage message, DeliveryResult result)
    {
        if (result == DeliveryResult.Done)
        {
            Done(message);
            return;
        }

        _redelivery.AddFailed(message);
        _logger.LogWarning(
            "Message {Place} of topic {Topic} failed at {Consumer}; it is delivered again in {Interval}",
            message.Place, _topic.Name, Name, _redelivery.Rest);
    }

    /// <summary>Each is announced when it is done: its batch may go on for long with others.</summary>
    private void Done(StoredMessage message)
    {
        bool madeRoom, wasChanged;
        lock (_lock)
        {
            (madeRoom, wasChanged, _changed) = (_progress.IsFull, _changed, true);
            _progress.Finish(message.Place);
        }

        if (!wasChanged)
            _announceChange(this);
        if (madeRoom)
            Dispatch();
    }

    private void LetNextCome(Subscriber subscriber)
    {
        lock (_lock)
            subscriber.LetNextCome();
        Dispatch();
    }

    private void End(Subscriber subscriber)
    {
        lock (_lock)
            subscriber.End();
    }

    private async ValueTask LeaveAsync(Subscriber subscriber)
    {
        lock (_lock)
        {
            if (_subscribers.Remove(subscriber))
                subscriber.Leave();
        }

        await subscriber.Left;
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
            group.LetNextCome(Subscriber);
        }

        public void FailRest()
        {
            for (var i = 0; i < _finished.Length; i++)
                Finish(i, DeliveryResult.Failed);
        }

        public void End()
        {
            LetNextCome();
            group.End(Subscriber);
        }
    }

    private sealed class Membership(ConsumerGroup group, Subscriber subscriber) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => group.LeaveAsync(subscriber);
    }
}
