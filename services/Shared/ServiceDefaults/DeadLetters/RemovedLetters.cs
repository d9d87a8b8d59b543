using DaprOrders.EventSourcing.Projections;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>That a dead letter was given up, by whom and why; its message is gone.</summary>
/// <param name="By">Who asked for it; null where nobody had to say.</param>
/// <param name="Reason">In that person's words; null when none was given.</param>
/// <param name="Error">Why the event was not handled.</param>
internal sealed record RemovedLetter(
    string Id,
    DateTimeOffset RemovedAt,
    string? By,
    string? Reason,
    string? EventId,
    string? Topic,
    string? Stream,
    string? Type,
    DateTimeOffset ReceivedAt,
    int Attempts,
    string Error,
    long Page) : IPaged;

/// <summary>The audit trail of letters that were given up, written before the letter goes. It is never shortened.</summary>
internal sealed class RemovedLetters(Documents documents, TimeProvider time)
{
    private readonly PagedDocuments<RemovedLetter> _removed = new(documents, "dead-letters|removed-index", id => $"dead-letters|removed|{id}");

    public Task<RemovedLetter> AddAsync(DeadLetter letter, string? by, string? reason, CancellationToken cancellationToken) => _removed.PutAsync(
        // A letter of the same event may come again and be removed again.
        $"{letter.Id}-{letter.ReceivedAt.ToUnixTimeMilliseconds()}",
        (_, page) => new RemovedLetter(
            $"{letter.Id}-{letter.ReceivedAt.ToUnixTimeMilliseconds()}",
            time.GetUtcNow(),
            by,
            reason,
            letter.EventId,
            letter.Topic,
            letter.Stream,
            letter.Type,
            letter.ReceivedAt,
            letter.Attempts,
            letter.Error,
            page),
        cancellationToken);

    /// <summary>Oldest first; null when the cursor is none of ours.</summary>
    public Task<DocumentList<RemovedLetter>?> ReadAsync(string? cursor, int limit, CancellationToken cancellationToken) =>
        _removed.ReadAsync(cursor, limit, cancellationToken);
}
