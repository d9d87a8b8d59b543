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
    private const int MostRemembered = 10_000;

    private readonly DeadLetterStore _deadLetters;
    private readonly EventSigning _signing;
    private readonly int _mostAttempts;
    private readonly ILogger<RefusedEvents> _logger;
    private readonly ConcurrentDictionary<string, int> _attempts = new();

    internal RefusedEvents(DeadLetterStore deadLetters, EventSigning signing, IOptions<CatchUpOptions> options, ILogger<RefusedEvents> logger) =>
        (_deadLetters, _signing, _mostAttempts, _logger) = (deadLetters, signing, options.Value.Attempts, logger);

    /// <summary>A store or a neighbour that is away will be back; no event is to blame for it.</summary>
    public static bool IsBadTimes(Exception failure) =>
        failure is EventStoreUnavailableException or DaprException or HttpRequestException or OperationCanceledException or TimeoutException;

    /// <summary>Counts one more failure of an event.</summary>
    /// <returns>True: it is a dead letter now, go on without it. False: try it again later.</returns>
    /// <exception cref="DaprException">The dead letter could not be kept.</exception>
    public async Task<bool> IsGivenUpAsync(string publisher, string topic, RecordedEvent recorded, Exception failure, CancellationToken cancellationToken)
    {
        if (IsBadTimes(failure))
            return false;

        if (_attempts.Count >= MostRemembered)
            _attempts.Clear();
        var attempts = _attempts.AddOrUpdate(recorded.Id, 1, (_, former) => former + 1);
        if (attempts < _mostAttempts && !Topic.IsHopeless(failure))
            return false;

        var reason = FailureLog.Describe(failure);
        await _deadLetters.KeepAsync(PublishedEvents.ToCloudEvent(publisher, topic, recorded, _signing), reason, attempts, cancellationToken);
        _logger.LogError(
            "Event {EventId} of topic {Topic}, read in the log of {Publisher}, goes to the dead letters: {Error}", recorded.Id, topic, publisher, reason);
        return true;
    }
}
