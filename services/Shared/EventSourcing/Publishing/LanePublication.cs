using DaprOrders.EventSourcing.Lanes;
using Microsoft.Extensions.Logging;

namespace DaprOrders.EventSourcing.Publishing;

/// <summary>
/// Publishes the events of one lane. When a call fails again and again, its events go out one by one: one that is refused by itself, while right
/// after it the broker takes another one of the topic, is at fault itself, and after some such refusals it is parked. As long as the broker takes
/// nothing, nothing is parked.
/// </summary>
internal sealed class LanePublication(
    string lane, Broker broker, ParkedEvents parked, LogReader log, EventStoreOptions options, TimeProvider time, ILogger logger)
{
    private const int FailuresTogether = 2;
    private const int WitnessesAsked = 3;

    // Of the events that are to be published now: those that the broker has, and the refusals of the others.
    private readonly HashSet<string> _done = [];
    private readonly Dictionary<string, int> _refusals = [];
    private int _failures;

    /// <inheritdoc cref="Broker.TookAt"/>
    public long TookAt => broker.TookAt;

    /// <summary>When it returns, each of the events is with the broker or parked. When it fails, it is to be called again with the same ones, or more.</summary>
    /// <param name="published">The segment before theirs.</param>
    public async Task PublishAsync(IReadOnlyList<PublishableEvent> events, long published, CancellationToken cancellationToken)
    {
        foreach (var topic in events.Where(e => e.Topic is not null && !_done.Contains(e.Event.Id)).GroupBy(e => e.Topic!, e => e.Event))
        {
            foreach (var call in CallsOf(topic))
            {
                try
                {
                    await PublishAsync(topic.Key, call, cancellationToken);
                }
                catch (Exception failure) when (!cancellationToken.IsCancellationRequested && ++_failures > FailuresTogether)
                {
                    await OneByOneAsync(topic.Key, call, published, failure, cancellationToken);
                }
            }
        }

        _done.Clear();
        _refusals.Clear();
        _failures = 0;
    }

    private async Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken)
    {
        await broker.PublishAsync(topic, events, cancellationToken);
        _done.UnionWith(events.Select(e => e.Id));
    }

    private async Task OneByOneAsync(string topic, List<RecordedEvent> events, long published, Exception together, CancellationToken cancellationToken)
    {
        logger.LogWarning(together, "Lane {Lane}: {Count} events for {Topic} are published one by one, since together they failed again and again.", lane, events.Count, topic);
        Exception? last = null;
        foreach (var recorded in events)
        {
            if (_done.Contains(recorded.Id) || await FailureOfAsync(topic, recorded, cancellationToken) is not { } failure)
            {
                continue;
            }

            if (!await TakesOthersAsync(topic, events, recorded, published, cancellationToken))
            {
                throw failure;
            }

            last = failure;
            _refusals[recorded.Id] = _refusals.GetValueOrDefault(recorded.Id) + 1;
            if (_refusals[recorded.Id] >= options.PublishAttempts)
            {
                await parked.ParkAsync(
                    new ParkedEvent(recorded.Stream, recorded.Version, topic, ParkedEvents.ReasonOf(failure), time.GetUtcNow(), lane),
                    cancellationToken);
                _done.Add(recorded.Id);
            }
        }

        if (last is not null && events.Exists(e => !_done.Contains(e.Id)))
        {
            throw last;
        }
    }

    private async Task<Exception?> FailureOfAsync(string topic, RecordedEvent recorded, CancellationToken cancellationToken)
    {
        try
        {
            await PublishAsync(topic, [recorded], cancellationToken);
            return null;
        }
        catch (Exception failure) when (!cancellationToken.IsCancellationRequested)
        {
            return failure;
        }
    }

    private async Task<bool> TakesOthersAsync(
        string topic, List<RecordedEvent> events, RecordedEvent refused, long published, CancellationToken cancellationToken)
    {
        var witnesses = new List<RecordedEvent>();
        if (broker.LastTaken(topic) is { } taken)
        {
            witnesses.Add(taken);
        }
        else
        {
            witnesses.AddRange(events.Where(e => e != refused && !_done.Contains(e.Id)).OrderBy(e => e.Bytes).Take(WitnessesAsked));
            witnesses.AddRange(await log.ReadBeforeAsync(lane, published, topic, WitnessesAsked, cancellationToken));
        }

        foreach (var witness in witnesses)
        {
            if (await FailureOfAsync(topic, witness, cancellationToken) is null)
            {
                return true;
            }
        }

        return false;
    }

    // Small enough for a message of gRPC and for the time that one call has.
    private IEnumerable<List<RecordedEvent>> CallsOf(IEnumerable<RecordedEvent> events)
    {
        var call = new List<RecordedEvent>();
        var bytes = 0;
        foreach (var recorded in events)
        {
            if (call.Count == options.Chunks.PublishedEvents || (call.Count > 0 && bytes + recorded.Bytes > options.Chunks.PublishedBytes))
            {
                yield return call;
                (call, bytes) = ([], 0);
            }

            call.Add(recorded);
            bytes += recorded.Bytes;
        }

        if (call.Count > 0)
        {
            yield return call;
        }
    }
}
