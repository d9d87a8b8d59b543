using System.Collections.Concurrent;
using Dapr;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DaprOrders.ServiceDefaults.CatchUp;

/// <summary>
/// Events of a publisher's log that this service could not handle. Nobody stops at one of them: it is tried as often as a broker would, then it
/// is a dead letter.
/// </summary>
public sealed class RefusedEvents
{
    internal const int MostRemembered = 10_000;

    private const int LongestRemembered = 300;

    /// <summary>Whoever is refused comes again at the next look; one that was not refused for so long was handled.</summary>
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan LookThroughEvery = TimeSpan.FromSeconds(10);

    private readonly DeadLetterStore _deadLetters;
    private readonly EventSigning _signing;
    private readonly int _mostAttempts;
    private readonly TimeProvider _time;
    private readonly ILogger<RefusedEvents> _logger;
    private readonly ConcurrentDictionary<string, Refusals> _refused = new();
    private long _lookedThroughAt;

    internal RefusedEvents(
        DeadLetterStore deadLetters, EventSigning signing, IOptions<CatchUpOptions> options, TimeProvider time, ILogger<RefusedEvents> logger) =>
        (_deadLetters, _signing, _mostAttempts, _time, _logger, _lookedThroughAt) = (deadLetters, signing, options.Value.Attempts, time, logger, time.GetTimestamp());

    /// <summary>A store or a neighbour that is away will be back; no event is to blame for it.</summary>
    public static bool IsBadTimes(Exception failure) =>
        failure is EventStoreUnavailableException or DaprException or HttpRequestException or OperationCanceledException or TimeoutException;

    /// <summary>Counts one more failure of an event.</summary>
    /// <returns>True: it is a dead letter now, or was one that was edited; go on without it. False: try it again later.</returns>
    /// <exception cref="DaprException">The dead letter could not be kept.</exception>
    public async Task<bool> IsGivenUpAsync(string publisher, string topic, RecordedEvent recorded, Exception failure, CancellationToken cancellationToken)
    {
        if (IsBadTimes(failure))
            return false;

        var attempts = 1;
        if (!Topic.IsHopeless(failure))
        {
            // Of a whole backlog that is refused, those that are counted are given up first; then there is room for the next.
            if (!_refused.ContainsKey(recorded.Id) && !HasRoom())
                return false;
            var now = _time.GetUtcNow();
            var text = FailureLog.Describe(failure);
            var error = text[..Math.Min(text.Length, LongestRemembered)];
            attempts = _refused.AddOrUpdate(recorded.Id, new Refusals(1, now, now, error), (_, former) => new Refusals(former.Attempts + 1, former.FirstAt, now, error)).Attempts;
            if (attempts < _mostAttempts)
                return false;
        }

        var reason = FailureLog.Describe(failure);
        if (await _deadLetters.KeepAsync(PublishedEvents.ToCloudEvent(publisher, topic, recorded, _signing), reason, attempts, cancellationToken) is not null)
        {
            _logger.LogError(
                "Event {EventId} of topic {Topic}, read in the log of {Publisher}, goes to the dead letters: {Error}", recorded.Id, topic, publisher, reason);
        }

        _refused.TryRemove(recorded.Id, out _);
        return true;
    }

    /// <summary>Notes that an event was handled after all; of one that was not refused nothing.</summary>
    public Task HandledAsync(string eventId) => _refused.TryRemove(eventId, out var refused)
        ? _deadLetters.RetriedAsync(eventId, refused.Attempts, refused.Error, refused.FirstAt, refused.LastAt)
        : Task.CompletedTask;

    private bool HasRoom()
    {
        // Looked through once in a while: all of a backlog asks while there is no room.
        if (_refused.Count < MostRemembered || _time.GetElapsedTime(Volatile.Read(ref _lookedThroughAt)) < LookThroughEvery)
            return _refused.Count < MostRemembered;

        Volatile.Write(ref _lookedThroughAt, _time.GetTimestamp());
        foreach (var (id, refused) in _refused)
        {
            if (_time.GetUtcNow() - refused.LastAt > Remembered)
                _refused.TryRemove(id, out _);
        }

        return _refused.Count < MostRemembered;
    }

    private sealed record Refusals(int Attempts, DateTimeOffset FirstAt, DateTimeOffset LastAt, string Error);
}
