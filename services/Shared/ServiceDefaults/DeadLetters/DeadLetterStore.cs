using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.Topics;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>A message that was not handled, whole, with what is known about why.</summary>
/// <param name="Id">Derived from the event's id (or from the message, where it has none): 32 hex digits, safe in paths.</param>
/// <param name="Topic">Where it was published first; null when the message does not say.</param>
/// <param name="Attempts">How often the handler failed, redrives included; 0 when the event never reached it.</param>
/// <param name="Message">The CloudEvent as it came; a JSON string when it was no JSON.</param>
/// <param name="Page">The index page that lists it.</param>
internal sealed record DeadLetter(
    string Id,
    string? EventId,
    string? Topic,
    string? Stream,
    string? Type,
    DateTimeOffset ReceivedAt,
    int Attempts,
    DateTimeOffset? LastAttemptAt,
    string Error,
    JsonElement Message,
    long Page);

internal sealed record DeadLetterList(IReadOnlyList<DeadLetter> Items, string? Next);

/// <summary>
/// The dead letters of one service. A letter is listed before it is written and until after it is gone, and counts only where it says
/// itself that it is listed.
/// </summary>
internal sealed class DeadLetterStore(Documents documents, FailureLog failures, TimeProvider time)
{
    internal const int IdsInPage = 100;

    private const string List = "dead-letters|index";

    private readonly PagedLists _lists = new(documents, IdsInPage);

    public static string IdOf(string eventId) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(eventId)).AsSpan(0, 16));

    public async Task<DeadLetter> KeepAsync(JsonElement message, CancellationToken cancellationToken)
    {
        var eventId = CloudEvents.Text(message, "id");
        var id = IdOf(eventId ?? message.GetRawText());
        var failure = eventId is null ? null : await failures.FindAsync(eventId, cancellationToken);
        var known = await FindAsync(id, cancellationToken);
        var page = known?.Page ?? (await _lists.AddAsync([(List, new ListEntry(id))], cancellationToken))[0];
        var kept = await documents.ChangeAsync<DeadLetter>(
            KeyOf(id),
            current => new DeadLetter(
                id,
                eventId,
                CloudEvents.Text(message, "topic"),
                CloudEvents.Text(message, "stream"),
                CloudEvents.Text(message, "type"),
                current?.ReceivedAt ?? time.GetUtcNow(),
                failure?.Attempts ?? current?.Attempts ?? 0,
                failure?.LastAt ?? current?.LastAttemptAt,
                failure?.Error ?? current?.Error ?? "No failure of this event is known here: it was not delivered, or the note of it could not be kept.",
                message,
                current?.Page ?? page),
            cancellationToken);
        return kept!;
    }

    public Task<DeadLetter?> FindAsync(string id, CancellationToken cancellationToken) =>
        documents.ReadAsync<DeadLetter>(KeyOf(id), cancellationToken);

    /// <summary>Notes one more failed attempt; null when the letter was removed meanwhile.</summary>
    public Task<DeadLetter?> FailedAgainAsync(string id, Exception exception, CancellationToken cancellationToken) =>
        documents.ChangeAsync<DeadLetter>(
            KeyOf(id),
            current => current is null ? null : current with
            {
                Attempts = current.Attempts + 1,
                LastAttemptAt = time.GetUtcNow(),
                Error = FailureLog.Describe(exception),
            },
            cancellationToken);

    public async Task RemoveAsync(DeadLetter letter, CancellationToken cancellationToken)
    {
        await documents.DeleteAsync(KeyOf(letter.Id), cancellationToken);
        if (letter.EventId is not null)
            await failures.ForgetAsync(letter.EventId, cancellationToken);
        await _lists.RemoveAsync(new ListPlace(List, letter.Page), letter.Id, cancellationToken);
    }

    /// <summary>Oldest first, from the cursor that the page before gave; null when the cursor is none of ours.</summary>
    public async Task<DeadLetterList?> ReadAsync(string? cursor, int limit, CancellationToken cancellationToken)
    {
        if (!TryReadCursor(cursor, out var number, out var after))
            return null;

        var (first, last) = await _lists.ReadBoundsAsync(List, cancellationToken);
        var items = new List<DeadLetter>();
        for (number = Math.Max(number, first); number <= last; number++, after = null)
        {
            var ids = (await _lists.ReadPageAsync(List, number, cancellationToken)).Select(entry => entry.Id).ToList();
            // When the letter of the cursor is gone, its page is shown again rather than a part of it left out.
            var open = ids.Skip(after is null ? 0 : ids.IndexOf(after) + 1).ToList();
            var letters = await documents.ReadAsync<DeadLetter>([.. open.Select(KeyOf)], cancellationToken);
            foreach (var id in open)
            {
                if (!letters.TryGetValue(KeyOf(id), out var letter) || letter.Page != number)
                    continue;
                if (items.Count == limit)
                    return new DeadLetterList(items, $"{items[^1].Page}.{items[^1].Id}");
                items.Add(letter);
            }
        }

        return new DeadLetterList(items, null);
    }

    private static bool TryReadCursor(string? cursor, out long page, out string? after)
    {
        (page, after) = (0, null);
        if (cursor is null)
            return true;

        var parts = cursor.Split('.');
        if (parts.Length != 2 || !long.TryParse(parts[0], out page) || page < 0)
            return false;
        after = parts[1];
        return true;
    }

    private static string KeyOf(string id) => $"dead-letters|letter|{id}";
}
