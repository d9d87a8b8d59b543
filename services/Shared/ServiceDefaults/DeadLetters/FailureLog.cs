using Dapr;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.CatchUp;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>What went wrong with an event so far. Dapr attaches no reason to a dead letter: this is where it is found.</summary>
/// <param name="IsPassing">The last attempt failed by the times, not by the event: the store or another service was not there.</param>
internal sealed record Failure(string EventId, int Attempts, string Error, DateTimeOffset FirstAt, DateTimeOffset LastAt, bool IsPassing = false);

/// <summary>
/// The failures of events that were not handled yet, each kept for a week. While the store takes no notes they are held in memory, the
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
    public async Task RecordAsync(string eventId, Exception exception)
    {
        Note(eventId, exception);
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

    /// <summary>What is known of the event's failures, here and in the store.</summary>
    public async Task<Failure?> FindAsync(string eventId, CancellationToken cancellationToken) =>
        Join(await documents.ReadAsync<Failure>(KeyOf(eventId), cancellationToken), Unwritten(eventId));

    /// <summary>As above, of many events: those of which something is known.</summary>
    public async Task<IReadOnlyDictionary<string, Failure>> FindAsync(IReadOnlyCollection<string> eventIds, CancellationToken cancellationToken)
    {
        var stored = await documents.ReadAsync<Failure>([.. eventIds.Select(KeyOf)], cancellationToken);
        return eventIds.Select(id => (Id: id, Failure: Join(stored.GetValueOrDefault(KeyOf(id)), Unwritten(id))))
            .Where(found => found.Failure is not null).ToDictionary(found => found.Id, found => found.Failure!);
    }

    public async Task ForgetAsync(string eventId, CancellationToken cancellationToken)
    {
        lock (_lock)
            _unwritten.Remove(eventId);
        await documents.DeleteAsync(KeyOf(eventId), cancellationToken);
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
            _unwritten.Remove(eventId, out var former);
            while (_unwritten.Count >= MostUnwritten)
                _unwritten.RemoveAt(0);
            _unwritten.Add(eventId, new Failure(eventId, (former?.Attempts ?? 0) + 1, Describe(exception), former?.FirstAt ?? now, now, RefusedEvents.IsBadTimes(exception)));
        }
    }

    private async Task<bool> TryWriteAsync(string eventId, CancellationToken cancellationToken)
    {
        try
        {
            if (Unwritten(eventId) is not { } noted)
                return true;

            var stored = await documents.ReadAsync<Failure>(KeyOf(eventId), cancellationToken);
            await documents.OverwriteAsync(KeyOf(eventId), Join(stored, noted)!, Kept, cancellationToken);
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
        (null, _) => noted,
        (_, null) => stored,
        var (former, latest) => latest with { Attempts = former.Attempts + latest.Attempts, FirstAt = former.FirstAt },
    };

    private static string KeyOf(string eventId) => $"dead-letters|failure|{DeadLetterStore.IdOf(eventId)}";
}
