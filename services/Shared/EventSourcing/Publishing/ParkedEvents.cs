using System.Diagnostics.Metrics;
using DaprOrders.EventSourcing.Lanes;
using DaprOrders.EventSourcing.Metrics;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Streams;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Publishing;

/// <summary>
/// The events that the broker refuses: a durable list, so that a lane need not wait for them. Any instance may read it, publish one of them once
/// more, or take one off.
/// </summary>
internal sealed class ParkedEvents(
    IStateApi state, StreamStorage streams, Broker broker, EventStoreOptions options, TimeProvider time, ILogger logger)
{
    private const int ReasonLength = 500;

    private static readonly Meter Meter = new(StoreMetrics.MeterName);
    private static readonly Gauge<int> Parked = Meter.CreateGauge<int>("eventstore.parked", "{event}", "Events that the broker refuses, and that wait to be redriven.");

    private int _count;

    /// <summary>How many there are, as this instance last saw it.</summary>
    public int Count
    {
        get => Volatile.Read(ref _count);
        private set
        {
            Volatile.Write(ref _count, value);
            Parked.Record(value, new KeyValuePair<string, object?>("app", options.AppId));
        }
    }

    public async Task<IReadOnlyList<ParkedEvent>> ReadAsync(CancellationToken cancellationToken) => (await ReadListAsync(cancellationToken)).Events;

    /// <summary>Keeps <see cref="Count"/> true when other instances park or redrive, until stopped.</summary>
    public async Task WatchAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                await ReadListAsync(stop);
            }
            catch (EventStoreUnavailableException)
            {
                // The former count stands; that the store is away is told by others.
            }

            await Task.Delay(options.Lease, time, stop);
        }
    }

    /// <exception cref="EventStoreUnavailableException">It is not parked: the store is away, or so many are that it is no longer single events.</exception>
    public async Task ParkAsync(ParkedEvent parked, CancellationToken cancellationToken)
    {
        await ChangeAsync(
            present => present.Any(e => e.Id == parked.Id) ? null
                : present.Count < options.MaxParked ? [.. present, parked]
                : throw new EventStoreUnavailableException(
                    $"{present.Count} events are parked, at most {options.MaxParked} can be: it is no longer single events that the broker refuses. See GET /event-log/parked."),
            cancellationToken);
        logger.LogError(
            "{EventId} is parked, since the broker refuses it on {Topic} and takes others: {Reason} Consumers have it from the event log; POST /event-log/parked/{EventId}/redrive publishes it once more.",
            parked.Id, parked.Topic, parked.Reason, parked.Id);
    }

    /// <summary>Publishes it once more and, when the broker has taken it, takes it off the list. False: no such event is parked.</summary>
    public async Task<bool> RedriveAsync(string id, CancellationToken cancellationToken)
    {
        if ((await ReadAsync(cancellationToken)).FirstOrDefault(e => e.Id == id) is not { } parked)
        {
            return false;
        }

        var at = await streams.ReadTipAsync(parked.Stream, cancellationToken);
        var stored = await streams.ReadAsync(at, parked.Version - 1, 1, cancellationToken);
        try
        {
            await broker.PublishAsync(parked.Topic, [stored[0].Of(parked.Stream)], cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            throw new EventStoreUnavailableException($"{id} stays parked; the broker did not take it on {parked.Topic}: {exception.Message}", exception);
        }

        logger.LogInformation("{EventId}, parked since {ParkedAt}, was published to {Topic}.", id, parked.ParkedAt, parked.Topic);
        await TakeOffAsync(id, cancellationToken);
        return true;
    }

    /// <summary>Takes an event off the list without publishing it. False: no such event is parked.</summary>
    public async Task<bool> DiscardAsync(string id, CancellationToken cancellationToken)
    {
        var known = await TakeOffAsync(id, cancellationToken);
        if (known)
        {
            logger.LogWarning("{EventId} is no longer parked and was not published: its topic will never have it, the event log has it.", id);
        }

        return known;
    }

    /// <summary>What a failure was, short enough for a list that is read whole.</summary>
    public static string ReasonOf(Exception failure)
    {
        var reason = failure.InnerException is { } inner ? $"{failure.Message} ({inner.Message})" : failure.Message;
        return reason.Length <= ReasonLength ? reason : reason[..ReasonLength];
    }

    private async Task<bool> TakeOffAsync(string id, CancellationToken cancellationToken)
    {
        var known = false;
        await ChangeAsync(
            parked =>
            {
                ParkedEvent[] left = [.. parked.Where(e => e.Id != id)];
                known |= left.Length < parked.Count;
                return left.Length == parked.Count ? null : left;
            },
            cancellationToken);
        return known;
    }

    /// <param name="change">Null: it is as it should be. Asked again when the list was changed meanwhile.</param>
    private async Task ChangeAsync(Func<IReadOnlyList<ParkedEvent>, IReadOnlyList<ParkedEvent>?> change, CancellationToken cancellationToken)
    {
        for (var backoff = new Backoff(time); ; await backoff.WaitAsync(cancellationToken))
        {
            var value = await state.GetAsync(ParkedList.Key, cancellationToken);
            var present = Seen(value);
            if (change(present.Events) is not { } changed)
            {
                return;
            }

            if (await state.TrySaveAsync(new StateWrite(ParkedList.Key, new ParkedList(changed).ToBytes(), value?.ETag), cancellationToken))
            {
                Count = changed.Count;
                return;
            }
        }
    }

    private async Task<ParkedList> ReadListAsync(CancellationToken cancellationToken) => Seen(await state.GetAsync(ParkedList.Key, cancellationToken));

    private ParkedList Seen(StateValue? value)
    {
        var list = value is null ? new ParkedList([]) : ParkedList.Read(value.Value);
        Count = list.Events.Count;
        return list;
    }
}
