using Dapr;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.CatchUp;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.DeadLetters;

internal static class FailureOutcomes
{
    public const string Handled = "handled";
    public const string GivenUp = "givenUp";
}

/// <summary>What went wrong with an event so far. Dapr attaches no reason to a dead letter: this is where it is found.</summary>
/// <param name="IsPassing">The last attempt failed by the times, not by the event: the store or another service was not there.</param>
/// <param name="Outcome">One of <see cref="FailureOutcomes"/>, where it is known that it ended.</param>
internal sealed record Failure(
    string EventId, int Attempts, string Error, DateTimeOffset FirstAt, DateTimeOffset LastAt, bool IsPassing = false, string? Outcome = null, DateTimeOffset? EndedAt = null);

/// <summary>
/// The failures of events that were not handled at the first attempt, and what came of them, each kept for a week. What is handled at once costs nothing. While the store takes no notes they are held in memory, the
/// latest ten thousand of them, and written as soon as it does.
/// </summary>
internal sealed class FailureLog(Documents documents, TimeProvider time, ILogger<FailureLog> logger)
{
    internal const int MostUnwritten = 10_000;

    private const int LongestError = 4000;

    private static readonly TimeSpan Kept = TimeSpan.FromDays(7);

    /// <summary>A delivery has its own time; a store that hangs must not use it up.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    private static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly OrderedDictionary<string, Failure> _unwritten = [];

    /// <summary>The events that have failed here and were not handled here since, the latest of them.</summary>
    private readonly OrderedDictionary<string, bool> _failing = [];
    private bool _isWriting;

    /// <summary>Notes wait here that the store did not take: it may be read, and is not written.</summary>
    public bool IsHeldUp
    {
        get
        {
            lock (_lock)
                return _isWriting;
        }
    }

    /// <summary>Notes one more failed attempt. It must not hide the failure itself: what the store does not take is written later.</summary>
    public Task RecordAsync(string eventId, Exception exception)
    {
        Note(eventId, exception);
        return WriteAsync(eventId);
    }

    /// <summary>Notes that an event was handled after all. Of one that has not failed here nothing is asked and nothing written.</summary>
    /// <param name="hasFailed">It is known that it has, in another instance.</param>
    public Task HandledAsync(string eventId, bool hasFailed = false)
    {
        lock (_lock)
        {
            if (!_failing.Remove(eventId) && !hasFailed)
                return Task.CompletedTask;

            var now = time.GetUtcNow();
            var failure = _unwritten.GetValueOrDefault(eventId) ?? new Failure(eventId, 0, "", now, now);
            Hold(failure with { Outcome = FailureOutcomes.Handled, EndedAt = now });
        }

        return WriteAsync(eventId);
    }

    /// <summary>Notes that an event was handled whose failures were counted elsewhere.</summary>
    public Task HandledAsync(string eventId, int attempts, string error, DateTimeOffset firstAt, DateTimeOffset lastAt)
    {
        lock (_lock)
            Hold(new Failure(eventId, attempts + (_unwritten.GetValueOrDefault(eventId)?.Attempts ?? 0), error, firstAt, lastAt, false, FailureOutcomes.Handled, time.GetUtcNow()));
        return WriteAsync(eventId);
    }

    /// <summary>What is known of the event's failures, here and in the store, unless they have ended.</summary>
    public async Task<Failure?> FindAsync(string eventId, CancellationToken cancellationToken) =>
        Join(await documents.ReadAsync<Failure>(KeyOf(eventId), cancellationToken), Unwritten(eventId)) is { Outcome: null } failure ? failure : null;

    /// <summary>As above, of many events, also of those that have ended.</summary>
    public async Task<IReadOnlyDictionary<string, Failure>> FindAsync(IReadOnlyCollection<string> eventIds, CancellationToken cancellationToken)
    {
        var stored = await documents.ReadAsync<Failure>([.. eventIds.Select(KeyOf)], cancellationToken);
        return eventIds.Select(id => (Id: id, Failure: Join(stored.GetValueOrDefault(KeyOf(id)), Unwritten(id))))
            .Where(found => found.Failure is not null).ToDictionary(found => found.Id, found => found.Failure!);
    }

    public async Task ForgetAsync(string eventId, CancellationToken cancellationToken)
    {
        Drop(eventId);
        await documents.DeleteAsync(KeyOf(eventId), cancellationToken);
    }

    /// <summary>Notes what came of a dead letter, which goes.</summary>
    /// <param name="outcome">One of <see cref="FailureOutcomes"/>.</param>
    public async Task EndAsync(DeadLetter letter, string outcome, CancellationToken cancellationToken)
    {
        var eventId = letter.EventId!;
        Drop(eventId);
        var former = await documents.ReadAsync<Failure>(KeyOf(eventId), cancellationToken);
        var ended = new Failure(
            eventId, letter.Attempts, letter.Error, former?.FirstAt ?? letter.ReceivedAt, letter.LastAttemptAt ?? letter.ReceivedAt, false, outcome, time.GetUtcNow());
        await documents.OverwriteAsync(KeyOf(eventId), ended, Kept, cancellationToken);
    }

    /// <summary>Type and message, inwards; the stack is in the log.</summary>
    public static string Describe(Exception exception)
    {
        var text = $"{exception.GetType().Name}: {exception.Message}";
        for (var inner = exception.InnerException; inner is not null; inner = inner.InnerException)
            text += $" <- {inner.GetType().Name}: {inner.Message}";
        return text.Length <= LongestError ? text : text[..LongestError];
    }

    private void Note(string eventId, Exception exception)
    {
        var now = time.GetUtcNow();
        lock (_lock)
        {
            // One that was handled meanwhile and comes again begins anew.
            var former = _unwritten.GetValueOrDefault(eventId) is { Outcome: null } noted ? noted : null;
            Hold(new Failure(eventId, (former?.Attempts ?? 0) + 1, Describe(exception), former?.FirstAt ?? now, now, RefusedEvents.IsBadTimes(exception)));
            _failing.Remove(eventId);
            while (_failing.Count >= MostUnwritten)
                _failing.RemoveAt(0);
            _failing.Add(eventId, true);
        }
    }

    private void Hold(Failure failure)
    {
        _unwritten.Remove(failure.EventId);
        while (_unwritten.Count >= MostUnwritten)
            _unwritten.RemoveAt(0);
        _unwritten.Add(failure.EventId, failure);
    }

    private void Drop(string eventId)
    {
        lock (_lock)
        {
            _unwritten.Remove(eventId);
            _failing.Remove(eventId);
        }
    }

    private async Task WriteAsync(string eventId)
    {
        lock (_lock)
        {
            // The store is away: no use to ask it at every failure.
            if (_isWriting)
                return;
        }

        using var limit = new CancellationTokenSource(Patience, time);
        if (!await TryWriteAsync(eventId, limit.Token))
            WriteLater();
    }

    private async Task<bool> TryWriteAsync(string eventId, CancellationToken cancellationToken)
    {
        try
        {
            if (Unwritten(eventId) is not { } noted)
                return true;

            var stored = await documents.ReadAsync<Failure>(KeyOf(eventId), cancellationToken);
            if (Join(stored, noted) is { } joined)
                await documents.OverwriteAsync(KeyOf(eventId), joined, Kept, cancellationToken);
            lock (_lock)
            {
                if (!_unwritten.TryGetValue(eventId, out var latest))
                    return true;
                // One more attempt may have failed meanwhile; of that the store knows nothing yet, and who noted it writes it.
                if (latest == noted)
                    _unwritten.Remove(eventId);
                else
                    _unwritten[eventId] = latest with { Attempts = latest.Attempts - noted.Attempts };
                return true;
            }
        }
        catch (Exception exception) when (exception is DaprException or OperationCanceledException)
        {
            return false;
        }
    }

    private void WriteLater()
    {
        lock (_lock)
        {
            if (_isWriting)
                return;
            _isWriting = true;
        }

        logger.LogWarning("Failures of events cannot be noted now; they are held in memory until the store takes them");
        _ = WriteAllAsync();
    }

    private async Task WriteAllAsync()
    {
        while (true)
        {
            string eventId;
            lock (_lock)
            {
                if (_unwritten.Count == 0)
                {
                    _isWriting = false;
                    return;
                }

                eventId = _unwritten.GetAt(0).Key;
            }

            using var limit = new CancellationTokenSource(Patience, time);
            if (!await TryWriteAsync(eventId, limit.Token))
                await Task.Delay(RetryInterval, time);
        }
    }

    private Failure? Unwritten(string eventId)
    {
        lock (_lock)
            return _unwritten.GetValueOrDefault(eventId);
    }

    private static Failure? Join(Failure? stored, Failure? noted) => (stored, noted) switch
    {
        // That it ended is nothing by itself.
        (null, { Attempts: 0 }) => null,
        (null, _) => noted,
        (_, null) => stored,
        (_, { Attempts: 0 }) => stored with { Outcome = noted.Outcome, EndedAt = noted.EndedAt },
        // It had ended, and comes once more.
        ({ Outcome: not null }, { Outcome: null }) => noted,
        var (former, latest) => latest with { Attempts = former.Attempts + latest.Attempts, FirstAt = former.FirstAt },
    };

    private static string KeyOf(string eventId) => $"dead-letters|failure|{DeadLetterStore.IdOf(eventId)}";
}
