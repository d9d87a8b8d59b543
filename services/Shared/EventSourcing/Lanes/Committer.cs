using System.Collections.Concurrent;
using System.Threading.Channels;
using DaprOrders.EventSourcing.Metrics;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>
/// Group commit: whatever queued while the last batch was in flight goes out in one call. A batch is written under a segment of the lane that
/// this instance owns, and the next one starts when it is decided which of its appends are committed.
/// </summary>
internal sealed class Committer
{
    private const int AttemptsTogether = 2;
    private const int Attempts = 5;

    private readonly IStateApi _state;
    private readonly StreamStorage _streams;
    private readonly LaneStorage _lanes;
    private readonly LaneOwnership _ownership;
    private readonly StoreHistory _history;
    private readonly CommandsAtWork _atWork;
    private readonly EventStoreOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<PendingAppend> _queue;
    private readonly ConcurrentDictionary<string, PendingAppend> _pending = [];
    private readonly List<PendingAppend> _carried = [];
    private bool _onlyCarried;
    private long _bytes;
    private long _decidedAt;
    private readonly string _incarnation;
    private long _batches;

    public Committer(
        IStateApi state, StreamStorage streams, LaneStorage lanes, LaneOwnership ownership, StoreHistory history, CommandsAtWork atWork, string incarnation,
        EventStoreOptions options, TimeProvider time, ILogger logger)
    {
        (_state, _streams, _lanes, _ownership, _history, _atWork, _incarnation) = (state, streams, lanes, ownership, history, atWork, incarnation);
        (_options, _time, _logger) = (options, time, logger);
        _queue = Channel.CreateBounded<PendingAppend>(new BoundedChannelOptions(options.QueueLimit) { SingleReader = true });
    }

    /// <summary>What waits for its commit, or is in flight, on a stream; there is never more than one.</summary>
    public PendingAppend? PendingOn(string stream) => _pending.GetValueOrDefault(stream);

    /// <summary>Nothing waits for its commit.</summary>
    public bool IsIdle => _pending.IsEmpty;

    /// <summary>Of tips that wait for their commit.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>When the last batch was decided, by the clock's timestamp.</summary>
    public long DecidedAt => Volatile.Read(ref _decidedAt);

    /// <summary>So many bytes wait for their commit that no more are taken.</summary>
    public bool IsFull => Bytes >= _options.QueueBytes;

    /// <exception cref="EventStoreUnavailableException">The queue is full.</exception>
    public void Enqueue(PendingAppend append)
    {
        _pending[append.Stream] = append;
        Interlocked.Add(ref _bytes, append.Write.Value.Length);
        if (!_queue.Writer.TryWrite(append))
        {
            Remove(append);
            throw new EventStoreUnavailableException(
                $"{_options.QueueLimit} commits wait already, or this instance is stopping; the state store is too slow or away. Try again later.");
        }
    }

    /// <summary>Puts a command on top of what waits for its commit; null when it is too late.</summary>
    public TaskCompletionSource<AppendOutcome>? TryAdd(PendingAppend pending, Tip next, IReadOnlyList<RecordedEvent> added)
    {
        var command = pending.TryAdd(next, added, out var grown);
        Interlocked.Add(ref _bytes, grown);
        return command;
    }

    /// <summary>The outcome for a command that is part of an append, or waits for it, once it is certain.</summary>
    /// <exception cref="EventStoreUnavailableException">It could not be learnt in time.</exception>
    public Task<AppendOutcome> OutcomeAsync(TaskCompletionSource<AppendOutcome> command, string stream, CancellationToken cancellationToken) =>
        command.WithinAsync(
            _options.CommitTimeout,
            _time,
            () => $"Stream {stream}: no commit was confirmed within {_options.CommitTimeout}. It may still happen; the same command can be sent again.",
            cancellationToken);

    /// <summary>Takes no more appends; <see cref="RunAsync"/> ends when the queue is empty.</summary>
    public void Complete() => _queue.Writer.TryComplete();

    public async Task RunAsync(CancellationToken stop)
    {
        try
        {
            var batches = await _lanes.UntilAnsweredAsync(() => _state.DescribeAsync(stop), stop);
            while (await LaneAsync(stop) is null && !_queue.Reader.Completion.IsCompleted)
            {
            }

            while (_carried.Count > 0 || await _queue.Reader.WaitToReadAsync(stop))
            {
                await _atWork.GatherAsync(_pending.Count, _onlyCarried ? 0 : _options.MaxBatch, stop);
                if (await LaneAsync(stop) is not { } lane)
                {
                    continue;
                }

                var batch = TakeBatch();
                if (batch.Count == 0)
                {
                    continue;
                }

                var began = _time.GetTimestamp();
                if (batches == BatchWrites.Atomic)
                {
                    await CommitAtomicallyAsync(lane, batch, stop);
                }
                else
                {
                    await CommitInStepsAsync(lane, batch, stop);
                }

                Volatile.Write(ref _decidedAt, _time.GetTimestamp());
                StoreMetrics.Decided(_time.GetElapsedTime(began));
            }
        }
        finally
        {
            // Only when it was stopped before all were done: nobody may wait for what nobody does any more.
            Complete();
            foreach (var append in _pending.Values)
            {
                append.TryTake();
                Fail(append, new EventStoreUnavailableException($"Stream {append.Stream}: this instance is stopping. The commit may still happen."));
            }
        }
    }

    // Null: the store went back in time, and what waited is refused. It was decided on what may be lost; nothing of it goes on after a recovery.
    private async Task<OwnedLane?> LaneAsync(CancellationToken stop)
    {
        try
        {
            _history.ThrowIfWentBack();
            return await _ownership.CurrentAsync(stop);
        }
        catch (StoreWentBackException exception)
        {
            do
            {
                Refuse(exception);
                await Task.Delay(LaneStorage.RetryDelay, _time, stop);
            }
            while (_history.Loss is not null && !_queue.Reader.Completion.IsCompleted);

            Refuse(exception);
            return null;
        }
    }

    private void Refuse(StoreWentBackException exception)
    {
        _carried.ForEach(append => Fail(append, exception));
        _carried.Clear();
        while (_queue.Reader.TryRead(out var append))
        {
            append.TryTake();
            Fail(append, exception);
        }
    }

    private List<PendingAppend> TakeBatch()
    {
        var batch = new List<PendingAppend>();
        var bytes = 0;
        var alone = _carried.Exists(append => append.Attempts > AttemptsTogether);
        var limit = alone ? 1 : _options.MaxBatch;
        var later = new List<PendingAppend>();

        void Take(PendingAppend append)
        {
            if (!append.TryTake())
            {
                End(append, AppendOutcome.Conflict);
            }
            else if (batch.Count < limit && (batch.Count == 0 || bytes + append.Write.Value.Length <= _options.MaxBatchBytes))
            {
                bytes += append.Write.Value.Length;
                batch.Add(append);
            }
            else
            {
                later.Add(append);
            }
        }

        _carried.ForEach(Take);
        while (!_onlyCarried && batch.Count < limit && later.Count < _options.MaxBatch && bytes < _options.MaxBatchBytes && _queue.Reader.TryRead(out var next))
        {
            Take(next);
        }

        _carried.Clear();
        _carried.AddRange(later);
        _onlyCarried = false;

        // Replicas that commit the same streams then lock them in the same order.
        batch.Sort((one, other) => string.CompareOrdinal(one.Stream, other.Stream));
        return batch;
    }

    private Segment NextSegment(OwnedLane lane, List<PendingAppend> batch) => new(
        lane.Epoch, $"{_incarnation}.{++_batches}", [.. batch.Select(append => append.Entry).OfType<SegmentEntry>()]);

    private async Task CommitAtomicallyAsync(OwnedLane lane, List<PendingAppend> batch, CancellationToken stop)
    {
        var number = lane.Next;
        var segment = NextSegment(lane, batch);
        try
        {
            await _state.SaveManyAsync(
                [new StateWrite(Segment.KeyOf(lane.Name, number), segment.ToBytes(), null), .. batch.Select(append => append.Write)], stop);
        }
        catch (EventStoreUnavailableException exception)
        {
            // Whoever holds the number decides: the transaction, or an empty segment after which it cannot land any more.
            var empty = new Segment(lane.Epoch, $"{segment.BatchId}-none", []);
            var standing = await _lanes.PutSegmentAsync(lane.Name, number, empty, stop);
            if (standing.BatchId == empty.BatchId)
            {
                lane.Settle(number, empty.BatchId, []);
                await SortOutAsync(batch, exception, stop);
                return;
            }

            if (standing.BatchId != segment.BatchId)
            {
                lane.Lose();
                _carried.AddRange(batch);
                return;
            }
        }

        Commit(lane, number, segment.BatchId, batch);
    }

    private async Task CommitInStepsAsync(OwnedLane lane, List<PendingAppend> batch, CancellationToken stop)
    {
        var number = lane.Next;
        var segment = NextSegment(lane, batch);
        var standing = await _lanes.PutSegmentAsync(lane.Name, number, segment, stop);
        if (standing.BatchId != segment.BatchId)
        {
            lane.Lose();
            _carried.AddRange(batch);
            return;
        }

        var committed = await TryWriteAsync(batch, stop) ? batch : await CommittedOrBarredAsync(batch, stop);
        Commit(lane, number, segment.BatchId, committed);
        foreach (var append in batch.Except(committed))
        {
            EndByConflict(append);
        }
    }

    // True: all are written. Of several writes the answer of a sidecar says nothing: under a retry policy daprd forgets which were refused
    // (dapr/dapr, pkg/components/state/bulk.go).
    private async Task<bool> TryWriteAsync(List<PendingAppend> batch, CancellationToken stop)
    {
        try
        {
            if (batch.Count == 1)
            {
                return await _state.TrySaveAsync(batch[0].Write, stop);
            }

            await _state.SaveManyAsync([.. batch.Select(append => append.Write)], stop);
        }
        catch (EventStoreUnavailableException)
        {
            // Unknown.
        }

        return false;
    }

    private void Commit(OwnedLane lane, long number, string batchId, List<PendingAppend> committed)
    {
        lane.Settle(number, batchId, [.. committed.SelectMany(append => append.Events.Select(e => new PublishableEvent(e, append.Topic)))]);
        StoreMetrics.Committed(committed);
        foreach (var append in committed)
        {
            End(append, AppendOutcome.Committed);
        }
    }

    private void EndByConflict(PendingAppend append)
    {
        StoreMetrics.Conflict();
        End(append, AppendOutcome.Conflict);
    }

    private void End(PendingAppend append, AppendOutcome outcome)
    {
        Remove(append);
        append.End(outcome);
    }

    private void Fail(PendingAppend append, Exception exception)
    {
        Remove(append);
        append.Fail(exception);
    }

    private void Remove(PendingAppend append)
    {
        if (_pending.TryRemove(KeyValuePair.Create(append.Stream, append)))
        {
            Interlocked.Add(ref _bytes, -append.Write.Value.Length);
        }
    }

    // Nothing of the transaction was written. Those whose tip has changed are told so; the others go with the next batch, and alone when no
    // changed tip explains the failure.
    private async Task SortOutAsync(List<PendingAppend> batch, Exception failure, CancellationToken stop)
    {
        var tips = await _lanes.UntilAnsweredAsync(() => _streams.ReadTipsAsync([.. batch.Select(append => append.Stream)], stop), stop);
        var unchanged = new List<PendingAppend>();
        foreach (var (append, at) in batch.Zip(tips))
        {
            if (at.ETag == append.FormerETag)
            {
                unchanged.Add(append);
            }
            else
            {
                EndByConflict(append);
            }
        }

        if (unchanged.Count < batch.Count)
        {
            // Their tips were right a moment ago: among themselves they commit, whatever is contended in the queue.
            _carried.AddRange(unchanged);
            _onlyCarried = unchanged.Count > 0;
            return;
        }

        foreach (var append in batch)
        {
            if (++append.Attempts < Attempts)
            {
                _carried.Add(append);
            }
            else
            {
                Fail(append, new EventStoreUnavailableException($"Stream {append.Stream}: the store refuses the commit. Try again later.", failure));
            }
        }

        _logger.LogWarning(failure, "A commit of {Count} streams failed and is tried again.", batch.Count);
        await Task.Delay(LaneStorage.RetryDelay, _time, stop);
    }

    // After this a write is either in its tip or can never be.
    private async Task<List<PendingAppend>> CommittedOrBarredAsync(List<PendingAppend> batch, CancellationToken stop)
    {
        var values = await _lanes.UntilAnsweredAsync(() => _state.GetManyAsync([.. batch.Select(append => append.Write.Key)], stop), stop);
        var committed = await Task.WhenAll(batch.Zip(values, (append, value) => IsCommittedOrBarredAsync(append, value, stop)));
        return [.. batch.Where((_, i) => committed[i])];
    }

    private async Task<bool> IsCommittedOrBarredAsync(PendingAppend append, StateValue? value, CancellationToken stop)
    {
        if (value is not null && value.Value.Span.SequenceEqual(append.Write.Value.Span))
        {
            return true;
        }

        var at = StreamStorage.At(append.Stream, value);
        return append.Entry is { } entry
            ? await _lanes.IsCommittedOrBarredAsync(entry, at, stop)
            // One that only moves positions may land late: by then either its tag or its positions are old.
            : append.Tip.Positions.All(position => at.Tip.Positions.GetValueOrDefault(position.Key) >= position.Value);
    }
}
