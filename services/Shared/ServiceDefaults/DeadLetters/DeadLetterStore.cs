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
/// The dead letters of one service. Dapr state cannot be listed, so pages of ids are the index; a page names a letter before the letter
/// is written and until after it is gone, and a letter counts only where it says itself that it is listed.
/// </summary>
internal sealed class DeadLetterStore(Documents documents, FailureLog failures, TimeProvider time)
{
    internal const int IdsInPage = 100;

    private const string HeadKey = "dead-letters|index";

    public static string IdOf(string eventId) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(eventId)).AsSpan(0, 16));

    public async Task<DeadLetter> KeepAsync(JsonElement message, CancellationToken cancellationToken)
    {
        var eventId = CloudEvents.Text(message, "id");
        var id = IdOf(eventId ?? message.GetRawText());
        var failure = eventId is null ? null : await failures.FindAsync(eventId, cancellationToken);
        var known = await FindAsync(id, cancellationToken);
        var page = known?.Page ?? await ListAsync(id, cancellationToken);
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

    public async Task FailedAgainAsync(string id, Exception exception, CancellationToken cancellationToken) =>
        await documents.ChangeAsync<DeadLetter>(
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
        var page = await documents.ChangeAsync<IndexPage>(
            PageKey(letter.Page),
            current => current is null || !current.Ids.Contains(letter.Id) ? current : new IndexPage([.. current.Ids.Where(id => id != letter.Id)]),
            cancellationToken);
        if (page is { Ids.Count: 0 })
        {
            await documents.ChangeAsync<IndexHead>(
                HeadKey,
                head => head is not null && head.First == letter.Page && head.First < head.Last ? head with { First = head.First + 1 } : head,
                cancellationToken);
        }
    }

    /// <summary>Oldest first, from the cursor that the page before gave; null when the cursor is none of ours.</summary>
    public async Task<DeadLetterList?> ReadAsync(string? cursor, int limit, CancellationToken cancellationToken)
    {
        var head = await documents.ReadAsync<IndexHead>(HeadKey, cancellationToken);
        if (!TryReadCursor(cursor, out var number, out var after))
            return null;
        if (head is null)
            return new DeadLetterList([], null);

        var items = new List<DeadLetter>();
        for (number = Math.Max(number, head.First); number <= head.Last; number++, after = null)
        {
            var page = await documents.ReadAsync<IndexPage>(PageKey(number), cancellationToken);
            // When the letter of the cursor is gone, its page is shown again rather than a part of it left out.
            var open = page?.Ids.Skip(after is null ? 0 : page.Ids.IndexOf(after) + 1).ToList() ?? [];
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

    private async Task<long> ListAsync(string id, CancellationToken cancellationToken)
    {
        var head = await documents.ChangeAsync<IndexHead>(HeadKey, current => current ?? new IndexHead(1, 1), cancellationToken);
        for (var number = head!.Last; ; number++)
        {
            var isFull = false;
            await documents.ChangeAsync<IndexPage>(
                PageKey(number),
                current =>
                {
                    isFull = current is not null && current.Ids.Count >= IdsInPage && !current.Ids.Contains(id);
                    return isFull || (current?.Ids.Contains(id) ?? false) ? current : new IndexPage([.. current?.Ids ?? [], id]);
                },
                cancellationToken);
            if (!isFull)
                return number;

            await documents.ChangeAsync<IndexHead>(
                HeadKey, current => current!.Last > number ? current : current with { Last = number + 1 }, cancellationToken);
        }
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

    private static string PageKey(long number) => $"dead-letters|index|{number}";

    private sealed record IndexHead(long First, long Last);

    private sealed record IndexPage(List<string> Ids);
}
