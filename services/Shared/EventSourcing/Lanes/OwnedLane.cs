using System.Collections.Concurrent;
using DaprOrders.EventSourcing.Publishing;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>
/// A lane while this instance owns it: its relay publishes what was committed, in order, and readers of the log get it from memory; its head is
/// written some time after either has moved on, and to show that its owner lives. The lane is lost when another instance has written its head, or stands where the next segment would.
/// </summary>
internal sealed class OwnedLane(
    HeadAt taken, LaneStorage storage, StoreHistory history, LogReader log, LanePublication publication, EventStoreOptions options, TimeProvider time,
    ILogger logger)
{
    private const int WitnessesAtOnce = 64;

    private readonly CancellationTokenSource _lost = new();
    private readonly Wakeup _committed = new();
    private readonly Wakeup _relayed = new();
    private readonly Wakeup _headMoved = new();
    private readonly ConcurrentDictionary<long, IReadOnlyList<PublishableEvent>> _recent = [];
    private long _oldest = taken.Head.Settled + 1;
    private readonly Queue<(long Number, string BatchId)> _witnesses = new([(taken.Head.Settled, Segment.FenceIdOf(taken.Head))]);
    private HeadAt _head = taken;
    private long _settled = taken.Head.Settled;
    private long _published = taken.Head.Published;
    private int _buffered;
    private long _bufferedBytes;
    private bool _hasMoreWitnesses;
    private long _relayedAt = time.GetTimestamp();
    private Task _running = Task.CompletedTask;

    public string Name => _head.Lane;

    public long Epoch { get; } = taken.Head.Epoch;

    /// <summary>The number of the next segment.</summary>
    public long Next => Volatile.Read(ref _settled) + 1;

    public bool IsLost => _lost.IsCancellationRequested;

    /// <summary>Segments that are settled and not published yet.</summary>
    public long Unpublished => Math.Max(0, Volatile.Read(ref _settled) - Volatile.Read(ref _published));

    /// <summary>How long the oldest event has waited for its publication; where it is not in memory, since when the relay has not got on.</summary>
    public TimeSpan RelayLag => Unpublished == 0 ? TimeSpan.Zero : Recent(Volatile.Read(ref _published) + 1) switch
    {
        [var oldest, ..] => time.GetUtcNow() - oldest.Event.OccurredAt,
        [] => TimeSpan.Zero,
        null => time.GetElapsedTime(Volatile.Read(ref _relayedAt)),
    };

    public void Start(CancellationToken stop) => _running = RunAsync(stop);

    /// <summary>The batch of this segment is decided; <paramref name="events"/> are committed and wait for their publication.</summary>
    public void Settle(long number, string batchId, IReadOnlyList<PublishableEvent> events)
    {
        lock (_witnesses)
        {
            _witnesses.Enqueue((number, batchId));
        }

        Remember(number, events);

        Volatile.Write(ref _settled, number);
        _committed.Set();
        _headMoved.Set();
    }

    /// <summary>The head as it is to be: what was settled or published here is, whether that is written down yet or not.</summary>
    public HeadAt Shown => _head with { Head = _head.Head with { Settled = Volatile.Read(ref _settled), Published = Volatile.Read(ref _published) } };

    /// <summary>The events of the segment of this number; null where they are not in memory.</summary>
    public IReadOnlyList<PublishableEvent>? Recent(long number) => _recent.GetValueOrDefault(number);

    /// <summary>
    /// The events of the segments after a number, as far as they are in memory: whole segments, until <paramref name="limit"/> events or so many bytes are
    /// reached; and the number of the last of them.
    /// </summary>
    public (IReadOnlyList<PublishableEvent> Events, long Last) Recent(long after, long until, int limit, long mostBytes = long.MaxValue)
    {
        var events = new List<PublishableEvent>();
        var bytes = 0L;
        while (after < until && events.Count < limit && bytes < mostBytes && _recent.TryGetValue(after + 1, out var recent))
        {
            after++;
            events.AddRange(recent);
            bytes += BytesOf(recent);
        }

        return (events, after);
    }

    // What does not fit is read back from the log when it is asked for.
    private void Remember(long number, IReadOnlyList<PublishableEvent> events)
    {
        while (IsFull && _oldest <= Volatile.Read(ref _published))
        {
            if (_recent.TryRemove(_oldest++, out var former))
            {
                (_buffered, _bufferedBytes) = (_buffered - WeightOf(former), _bufferedBytes - BytesOf(former));
            }
        }

        if (!IsFull)
        {
            (_buffered, _bufferedBytes) = (_buffered + WeightOf(events), _bufferedBytes + BytesOf(events));
            _recent[number] = events;
        }
    }

    private bool IsFull => _buffered >= options.RelayBuffer || _bufferedBytes >= options.RelayBufferBytes;

    public void Lose()
    {
        if (!IsLost)
        {
            logger.LogWarning("Lane {Lane} (epoch {Epoch}) was taken over by another instance.", Name, Epoch);
            End();
        }
    }

    /// <summary>Nothing is written or published under it any more.</summary>
    public void End() => _lost.Cancel();

    /// <summary>Looks whether what was settled here is still there, and reports what is not.</summary>
    public async Task CheckAsync(CancellationToken cancellationToken)
    {
        var (written, witnesses) = (_head.Head, Witnesses());
        var (present, batchIds) = await storage.ReadHeadAsync(Name, [.. witnesses.Select(witness => witness.Number)], cancellationToken);
        if (FirstLost(written, present, witnesses, batchIds) is { } from)
        {
            history.Report(new LostLane(Name, Epoch, from, Next - 1));
        }
    }

    /// <summary>Publishes what is left, as long as the token allows, and gives the lane back.</summary>
    /// <param name="patience">How long the relay may get on with nothing.</param>
    /// <param name="cancellationToken">As long as it allows.</param>
    /// <exception cref="EventStoreUnavailableException">The lane is not given back: what is left is for whoever adopts it.</exception>
    public async Task ReleaseAsync(TimeSpan patience, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        try
        {
            while (!IsLost && Volatile.Read(ref _published) < Volatile.Read(ref _settled))
            {
                // A broker that is slow takes some of a batch, and then some more.
                if (time.GetElapsedTime(Math.Max(began, publication.TookAt)) > patience)
                {
                    throw new EventStoreUnavailableException($"Lane {Name}: nothing could be published for {patience}. What is left is published by whoever adopts the lane.");
                }

                await _relayed.WaitAsync(LaneStorage.RetryDelay, time, cancellationToken);
            }
        }
        finally
        {
            _lost.Cancel();
            await _running;
        }

        // The last write of the head may have been cut off after its effect; then it is written once more.
        var present = await storage.WriteHeadAsync(_head, Present() with { Owner = null }, cancellationToken);
        if (present is { Head.Owner: not null } && present.Head.Epoch == Epoch)
        {
            await storage.WriteHeadAsync(present, Present() with { Owner = null }, cancellationToken);
        }
    }

    private async Task RunAsync(CancellationToken stop)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(stop, _lost.Token);
        await Task.WhenAll(
            UntilCancelledAsync(RelayAsync(ended.Token), ended.Token),
            UntilCancelledAsync(KeepHeadAsync(ended.Token), ended.Token));
    }

    private static async Task UntilCancelledAsync(Task loop, CancellationToken ended)
    {
        try
        {
            await loop;
        }
        catch (Exception) when (ended.IsCancellationRequested)
        {
            // The loop ends only so; a call that is cut off may say it in other words.
        }
    }

    private async Task RelayAsync(CancellationToken ended)
    {
        var backoff = new Backoff(time);
        while (true)
        {
            if (_published >= Volatile.Read(ref _settled))
            {
                await _committed.WaitAsync(ended);
                continue;
            }

            try
            {
                await PublishNextAsync(ended);
                backoff.Reset();
            }
            catch (Exception exception) when (!ended.IsCancellationRequested)
            {
                logger.LogWarning(
                    exception, "Lane {Lane}: events after segment {Published} could not be published; next try in {Delay}.", Name, _published, backoff.Delay);
                await backoff.WaitAsync(ended);
            }
        }
    }

    private async Task PublishNextAsync(CancellationToken ended)
    {
        var (events, last) = await NextEventsAsync(ended);
        await publication.PublishAsync(events, _published, ended);
        Volatile.Write(ref _published, last);
        Volatile.Write(ref _relayedAt, time.GetTimestamp());
        _relayed.Set();
        _headMoved.Set();
    }

    // A segment without events takes its place in memory too.
    private static int WeightOf(IReadOnlyList<PublishableEvent> events) => Math.Max(1, events.Count);

    private static long BytesOf(IReadOnlyList<PublishableEvent> events) => events.Sum(e => (long)e.Event.Bytes);

    // What this instance has just committed is at hand; the rest is read back from the log.
    private async Task<(IReadOnlyList<PublishableEvent> Events, long Last)> NextEventsAsync(CancellationToken cancellationToken)
    {
        var settled = Volatile.Read(ref _settled);
        var recent = Recent(_published, settled, options.Chunks.PublishedEvents);
        return recent.Last > _published
            ? recent
            : await log.ReadSettledAsync(_head, _published, settled, options.Chunks.PublishedEvents, cancellationToken);
    }

    private async Task KeepHeadAsync(CancellationToken ended)
    {
        var backoff = new Backoff(time, options.Lease / 4);
        var interval = options.HeadInterval < options.Lease / 8 ? options.HeadInterval : options.Lease / 8;
        while (true)
        {
            await _headMoved.WaitAsync(options.Lease / 4, time, ended);
            if (!_hasMoreWitnesses)
            {
                await Task.Delay(interval, time, ended);
            }

            try
            {
                await WriteHeadAsync(ended);
                backoff.Reset();
            }
            catch (StoreWentBackException)
            {
                End();
            }
            catch (Exception exception) when (!ended.IsCancellationRequested)
            {
                logger.LogWarning(exception, "Lane {Lane}: its head could not be written; next try in {Delay}.", Name, backoff.Delay);
                await backoff.WaitAsync(ended);
                _headMoved.Set();
            }
        }
    }

    private async Task WriteHeadAsync(CancellationToken cancellationToken)
    {
        var witnesses = Witnesses();
        var wanted = Present();
        var (present, batchIds) = await storage.WriteHeadAsync(_head, wanted, [.. witnesses.Select(witness => witness.Number)], cancellationToken);
        if (FirstLost(_head.Head, present, witnesses, batchIds) is not null)
        {
            // A store may answer once what is not so; what it says twice is believed.
            await CheckAsync(cancellationToken);
            history.ThrowIfWentBack();
            throw new EventStoreUnavailableException($"The state store did not show what lane {Name} holds, and then it did.");
        }

        Forget(witnesses);
        if (present!.Head.Epoch != Epoch)
        {
            Lose();
            return;
        }

        if (present.ETag == _head.ETag)
        {
            throw new EventStoreUnavailableException($"The state store refuses to write the head of lane {Name}, though nobody else has written it.");
        }

        // An earlier write may have landed late: then this one is still to be made.
        _head = present;
        _hasMoreWitnesses = witnesses.Count == WitnessesAtOnce;
        if (!present.Head.IsSameAs(wanted) || _hasMoreWitnesses)
        {
            _headMoved.Set();
        }
    }

    // Segments that must be there: what was settled since the last look, and the last one of those before. A store that loses the end of what was
    // written has lost one of them, if it has lost anything of this lane.
    private List<(long Number, string BatchId)> Witnesses()
    {
        lock (_witnesses)
        {
            return [.. _witnesses.Take(WitnessesAtOnce)];
        }
    }

    private void Forget(List<(long Number, string BatchId)> seen)
    {
        lock (_witnesses)
        {
            while (seen.Count > 1 && _witnesses.Count > 1 && _witnesses.Peek().Number < seen[^1].Number)
            {
                _witnesses.Dequeue();
            }
        }
    }

    // What a recovery has closed is dealt with.
    private long? FirstLost(Head written, HeadAt? present, List<(long Number, string BatchId)> witnesses, IReadOnlyList<string?> batchIds)
    {
        if (present is null)
        {
            return 1;
        }

        if (present.Head.IsClosed)
        {
            return null;
        }

        var missing = witnesses.Zip(batchIds, (witness, standing) => standing == witness.BatchId ? long.MaxValue : witness.Number).DefaultIfEmpty(long.MaxValue).Min();
        var isBehind = present.Head.Epoch < Epoch || present.Head.Settled < written.Settled;
        var from = Math.Min(missing, isBehind ? present.Head.Settled + 1 : long.MaxValue);
        return from == long.MaxValue ? null : from;
    }

    private Head Present() => _head.Head with
    {
        WrittenAt = time.GetUtcNow(),
        Settled = Volatile.Read(ref _settled),
        Published = Volatile.Read(ref _published),
    };
}
