using System.Collections.Concurrent;
using DaprOrders.EventSourcing.Publishing;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>
/// A lane while this instance owns it: its relay publishes what was committed, in order; its head is written when either has moved on, and to
/// show that its owner lives. The lane is lost when another instance has written its head, or stands where the next segment would.
/// </summary>
internal sealed class OwnedLane(
    HeadAt taken, LaneStorage storage, LogReader log, LanePublication publication, EventStoreOptions options, TimeProvider time, ILogger logger)
{
    // Readers of the log wait for it; under load it is not worth a write per batch.
    private static readonly TimeSpan HeadInterval = TimeSpan.FromMilliseconds(20);

    private readonly CancellationTokenSource _lost = new();
    private readonly Wakeup _committed = new();
    private readonly Wakeup _relayed = new();
    private readonly Wakeup _headMoved = new();
    private readonly ConcurrentDictionary<long, IReadOnlyList<PublishableEvent>> _recent = [];
    private HeadAt _head = taken;
    private long _settled = taken.Head.Settled;
    private long _published = taken.Head.Published;
    private int _buffered;
    private long _bufferedBytes;
    private Task _running = Task.CompletedTask;

    public string Name => _head.Lane;

    public long Epoch { get; } = taken.Head.Epoch;

    /// <summary>The number of the next segment.</summary>
    public long Next => Volatile.Read(ref _settled) + 1;

    public bool IsLost => _lost.IsCancellationRequested;

    public void Start(CancellationToken stop) => _running = RunAsync(stop);

    /// <summary>The batch of this segment is decided; <paramref name="events"/> are committed and wait for their publication.</summary>
    public void Settle(long number, IReadOnlyList<PublishableEvent> events)
    {
        // What does not fit is read back from the log when its turn comes.
        if (Volatile.Read(ref _buffered) < options.RelayBuffer && Volatile.Read(ref _bufferedBytes) < options.RelayBufferBytes)
        {
            Interlocked.Add(ref _buffered, WeightOf(events));
            Interlocked.Add(ref _bufferedBytes, BytesOf(events));
            _recent[number] = events;
        }

        Volatile.Write(ref _settled, number);
        _committed.Set();
        _headMoved.Set();
    }

    public void Lose()
    {
        if (!IsLost)
        {
            logger.LogWarning("Lane {Lane} (epoch {Epoch}) was taken over by another instance.", Name, Epoch);
            _lost.Cancel();
        }
    }

    /// <summary>Publishes what is left, as long as the token allows, and gives the lane back.</summary>
    public async Task ReleaseAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (!IsLost && Volatile.Read(ref _published) < Volatile.Read(ref _settled))
            {
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
        for (var number = _published + 1; number <= last; number++)
        {
            if (_recent.TryRemove(number, out var done))
            {
                Interlocked.Add(ref _buffered, -WeightOf(done));
                Interlocked.Add(ref _bufferedBytes, -BytesOf(done));
            }
        }

        Volatile.Write(ref _published, last);
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
        if (!_recent.ContainsKey(_published + 1))
        {
            return await log.ReadSettledAsync(Name, _published, settled, options.Chunks.PublishedEvents, cancellationToken);
        }

        var last = _published;
        var events = new List<PublishableEvent>();
        while (last < settled && events.Count < options.Chunks.PublishedEvents && _recent.TryGetValue(last + 1, out var recent))
        {
            last++;
            events.AddRange(recent);
        }

        return (events, last);
    }

    private async Task KeepHeadAsync(CancellationToken ended)
    {
        var backoff = new Backoff(time, options.Lease / 4);
        while (true)
        {
            await _headMoved.WaitAsync(options.Lease / 4, time, ended);
            try
            {
                await WriteHeadAsync(ended);
                backoff.Reset();
            }
            catch (Exception exception) when (!ended.IsCancellationRequested)
            {
                logger.LogWarning(exception, "Lane {Lane}: its head could not be written; next try in {Delay}.", Name, backoff.Delay);
                await backoff.WaitAsync(ended);
                _headMoved.Set();
            }

            await Task.Delay(HeadInterval, time, ended);
        }
    }

    private async Task WriteHeadAsync(CancellationToken cancellationToken)
    {
        var wanted = Present();
        var present = await storage.WriteHeadAsync(_head, wanted, cancellationToken);
        if (present is null || present.Head.Epoch != Epoch)
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
        if (present.Head != wanted)
        {
            _headMoved.Set();
        }
    }

    private Head Present() => new(
        _head.Head.Owner, Epoch, time.GetUtcNow(), Volatile.Read(ref _settled), Volatile.Read(ref _published));
}
