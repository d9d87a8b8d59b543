using Dapr;
using DaprOrders.EventSourcing.Projections;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>What went wrong with an event so far. Dapr attaches no reason to a dead letter: this is where it is found.</summary>
internal sealed record Failure(string EventId, int Attempts, string Error, DateTimeOffset FirstAt, DateTimeOffset LastAt);

/// <summary>The failures of events that were not handled yet, each kept for a week.</summary>
internal sealed class FailureLog(Documents documents, TimeProvider time, ILogger<FailureLog> logger)
{
    private const int LongestError = 4000;

    private static readonly TimeSpan Kept = TimeSpan.FromDays(7);

    /// <summary>Notes one more failed attempt. It must not hide the failure itself: a store that does not take the note is only logged.</summary>
    public async Task RecordAsync(string eventId, Exception exception, CancellationToken cancellationToken)
    {
        try
        {
            var now = time.GetUtcNow();
            var former = await FindAsync(eventId, cancellationToken);
            await documents.OverwriteAsync(
                KeyOf(eventId),
                new Failure(eventId, (former?.Attempts ?? 0) + 1, Describe(exception), former?.FirstAt ?? now, now),
                Kept,
                cancellationToken);
        }
        catch (DaprException notKept)
        {
            logger.LogWarning(notKept, "The failure of event {EventId} could not be noted; a dead letter of it will lack its reason", eventId);
        }
    }

    public Task<Failure?> FindAsync(string eventId, CancellationToken cancellationToken) =>
        documents.ReadAsync<Failure>(KeyOf(eventId), cancellationToken);

    public Task ForgetAsync(string eventId, CancellationToken cancellationToken) => documents.DeleteAsync(KeyOf(eventId), cancellationToken);

    /// <summary>Type and message, inwards; the stack is in the log.</summary>
    public static string Describe(Exception exception)
    {
        var text = $"{exception.GetType().Name}: {exception.Message}";
        for (var inner = exception.InnerException; inner is not null; inner = inner.InnerException)
            text += $" <- {inner.GetType().Name}: {inner.Message}";
        return text.Length <= LongestError ? text : text[..LongestError];
    }

    private static string KeyOf(string eventId) => $"dead-letters|failure|{DeadLetterStore.IdOf(eventId)}";
}
