using System.Diagnostics.Metrics;
using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.ServiceDefaults.Topics;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>A message that was not handled, with what is known about why. The message itself is kept beside it: lists go without.</summary>
/// <param name="Id">Derived from the event's id (or from the message, where it has none): 32 hex digits, safe in paths.</param>
/// <param name="Topic">Where it was published first; null when the message does not say.</param>
/// <param name="Attempts">How often the handler failed, redrives included; 0 when no handler was asked, since no try could help.</param>
/// <param name="Page">The index page that lists it.</param>
/// <param name="Taken">By an act that may be under way.</param>
/// <param name="Message">Only where an earlier version kept it: <see cref="DeadLetterStore.FindMessageAsync"/> has it of all.</param>
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
    long Page,
    LetterTaken? Taken = null,
    JsonElement? Message = null) : IPaged;

/// <param name="By">The act, or the job, that is about the letter alone.</param>
/// <param name="Until">It has ended then, or has died.</param>
internal sealed record LetterTaken(string By, DateTimeOffset Until);

/// <param name="Topic">Null when the messages do not say.</param>
/// <param name="First">When the first of them came.</param>
internal sealed record DeadLetterGroup(string Reason, string? Topic, int Count, DateTimeOffset First, DateTimeOffset Last);

/// <param name="Letters">How many were counted for this answer, also those of groups that are not named.</param>
/// <param name="Groups">By reason, without the ids and numbers in it, and topic: the hundred largest.</param>
/// <param name="Cursor">Where to go on counting; null: all are counted.</param>
internal sealed record DeadLetterCounts(int Letters, IReadOnlyList<DeadLetterGroup> Groups, string? Cursor);

/// <summary>The dead letters of one service.</summary>
internal sealed class DeadLetterStore(Documents documents, FailureLog failures, TopicRegistry topics, TimeProvider time)
{
    private const string Unknown = "No failure of this event is known here: it was not delivered, or another instance failed that could not note it.";

    /// <summary>Letters that one count looks through.</summary>
    internal const int MostCounted = 2000;

    private const int MostGroups = 100;

    /// <summary>Longer than a handler may take.</summary>
    private static readonly TimeSpan LongestTaken = TimeSpan.FromMinutes(1);

    private static readonly Meter Meter = new("DaprOrders.DeadLetters");
    private static readonly Counter<long> Kept = Meter.CreateCounter<long>("dead_letters.kept", "{letter}", "Messages that became dead letters here, by topic.");
    private static readonly Counter<long> Removed = Meter.CreateCounter<long>(
        "dead_letters.removed", "{letter}", "Dead letters that are none any more, handled after all or given up, by topic.");

    private readonly PagedDocuments<DeadLetter> _letters = new(documents, "dead-letters|index", KeyOf);

    public static string IdOf(string eventId) => HashedId.Of(eventId);

    /// <summary>Keeps a message from the dead-letter topic, with the failures of its event that were noted.</summary>
    /// <param name="isGenuine">Whether it is an event of the topic's publisher: a message that only names one takes no letter's place.</param>
    public async Task<DeadLetter> KeepAsync(JsonElement message, bool isGenuine, CancellationToken cancellationToken)
    {
        var failure = CloudEvents.Text(message, "id") is { } eventId ? await failures.FindAsync(eventId, cancellationToken) : null;
        return await KeepAsync(
            message,
            isGenuine,
            current => (
                failure?.Attempts ?? current?.Attempts ?? 0,
                failure?.LastAt ?? current?.LastAttemptAt,
                failure?.Error ?? current?.Error ?? Unknown),
            cancellationToken);
    }

    /// <summary>Keeps an event that came another way than by the dead-letter topic, or that was given up here.</summary>
    /// <param name="cloudEvent">As the relay makes it, with <c>topic</c>: whose handler a redrive is for.</param>
    /// <param name="reason">As <see cref="FailureLog.Describe"/> tells it.</param>
    /// <returns>Null: it is none, as it was handled as an operator has edited it.</returns>
    public async Task<DeadLetter?> KeepAsync(JsonElement cloudEvent, string reason, int attempts, CancellationToken cancellationToken) =>
        CloudEvents.Text(cloudEvent, "id") is { } eventId && await IsReplacedAsync(eventId, cancellationToken)
            ? null
            : await KeepAsync(cloudEvent, isGenuine: true, _ => (attempts, attempts > 0 ? time.GetUtcNow() : null, reason), cancellationToken);

    /// <summary>Notes that a letter's event was handled as an operator has edited it: the original, however it comes again, is no dead letter.</summary>
    public Task ReplacedAsync(DeadLetter letter, string by, CancellationToken cancellationToken) =>
        documents.ChangeAsync<Replaced>(ReplacedKeyOf(letter.Id), _ => new Replaced(by), cancellationToken);

    public async Task<bool> IsReplacedAsync(string eventId, CancellationToken cancellationToken) =>
        await documents.ReadAsync<Replaced>(ReplacedKeyOf(IdOf(eventId)), cancellationToken) is not null;

    /// <summary>Those that there are, in this order.</summary>
    public Task<IReadOnlyList<DeadLetter>> FindAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken) => _letters.FindAsync(ids, cancellationToken);

    public Task<DeadLetter?> FindAsync(string id, CancellationToken cancellationToken) => _letters.FindAsync(id, cancellationToken);

    /// <summary>Oldest first, from the cursor that the page before gave; null when the cursor is none of ours.</summary>
    public Task<DocumentList<DeadLetter>?> ReadAsync(string? cursor, int limit, CancellationToken cancellationToken) =>
        _letters.ReadAsync(cursor, limit, cancellationToken);

    /// <summary>The CloudEvent as it came, a JSON string when it was no JSON; null: the letter is gone.</summary>
    public async Task<JsonElement?> FindMessageAsync(DeadLetter letter, CancellationToken cancellationToken) =>
        letter.Message ?? (await documents.ReadAsync<KeptMessage>(MessageKeyOf(letter.Id), cancellationToken))?.Message;

    /// <summary>How many there are, by reason and topic; null when the cursor is none of ours.</summary>
    public async Task<DeadLetterCounts?> CountAsync(string? cursor, CancellationToken cancellationToken) =>
        await _letters.ReadAsync(cursor, MostCounted, cancellationToken) is { } list
            ? new DeadLetterCounts(
                list.Items.Count,
                [.. list.Items.GroupBy(letter => (Reason: FailureReasons.Of(letter.Error), letter.Topic))
                    .Select(group => new DeadLetterGroup(
                        group.Key.Reason, group.Key.Topic, group.Count(), group.Min(letter => letter.ReceivedAt), group.Max(letter => letter.ReceivedAt)))
                    .OrderByDescending(group => group.Count).Take(MostGroups)],
                list.Next)
            : null;

    /// <summary>The numbers of the first and the last page of letters; new ones come to the end.</summary>
    public Task<(long First, long Last)> ReadBoundsAsync(CancellationToken cancellationToken) => _letters.ReadBoundsAsync(cancellationToken);

    public Task<IReadOnlyList<DeadLetter>> ReadPageAsync(long page, CancellationToken cancellationToken) => _letters.ReadPageAsync(page, cancellationToken);

    /// <summary>Takes a letter for one act, so that what is on record of two is not both true and false: handled, and given up.</summary>
    /// <returns>Null: there is no such letter. Where it is taken by another act, that stands in it.</returns>
    public Task<DeadLetter?> TakeAsync(string id, string by, CancellationToken cancellationToken) => _letters.ChangeAsync(
        id,
        letter => letter.Taken is { } taken && taken.By != by && taken.Until > time.GetUtcNow() ? letter : letter with { Taken = new(by, time.GetUtcNow() + LongestTaken) },
        cancellationToken);

    /// <summary>What took it has ended, and it stays.</summary>
    public Task LetGoAsync(DeadLetter letter, CancellationToken cancellationToken) =>
        _letters.ChangeAsync(letter.Id, present => present.Taken?.By == letter.Taken?.By ? present with { Taken = null } : present, cancellationToken);

    /// <summary>Notes one more failed attempt; null when the letter was removed meanwhile.</summary>
    public Task<DeadLetter?> FailedAgainAsync(string id, Exception exception, CancellationToken cancellationToken) => _letters.ChangeAsync(
        id,
        letter => letter with { Attempts = letter.Attempts + 1, LastAttemptAt = time.GetUtcNow(), Error = FailureLog.Describe(exception), Taken = null },
        cancellationToken);

    /// <summary>Removes the letters of events that were handled after all, if there are any; while there are no letters this is two reads.</summary>
    /// <returns>How many there were.</returns>
    public async Task<int> TakeOffAsync(IReadOnlyCollection<string> eventIds, CancellationToken cancellationToken)
    {
        if (eventIds.Count == 0)
            return 0;

        var letters = await _letters.FindAsync(eventIds.Select(IdOf).ToHashSet(), cancellationToken);
        foreach (var letter in letters)
            await RemoveAsync(letter, FailureOutcomes.Handled, cancellationToken);
        return letters.Count;
    }

    /// <summary>Notes that an event was handled which had failed, and not as a delivery.</summary>
    public Task RetriedAsync(string eventId, int attempts, string error, DateTimeOffset firstAt, DateTimeOffset lastAt) =>
        failures.HandledAsync(eventId, attempts, error, firstAt, lastAt);

    /// <param name="outcome">What came of its event, of <see cref="FailureOutcomes"/>; null: it was no event's message.</param>
    public async Task RemoveAsync(DeadLetter letter, string? outcome, CancellationToken cancellationToken)
    {
        await _letters.RemoveAsync(letter, cancellationToken);
        await documents.DeleteAsync(MessageKeyOf(letter.Id), cancellationToken);
        Removed.Add(1, new KeyValuePair<string, object?>("topic", KnownTopic(letter.Topic)));
        if (letter.EventId is not null)
            await (outcome is null ? failures.ForgetAsync(letter.EventId, cancellationToken) : failures.EndAsync(letter, outcome, cancellationToken));
    }

    private async Task<DeadLetter> KeepAsync(
        JsonElement message, bool isGenuine, Func<DeadLetter?, (int Attempts, DateTimeOffset? LastAt, string Error)> describe, CancellationToken cancellationToken)
    {
        var eventId = CloudEvents.Text(message, "id");
        var id = IdOf(eventId ?? message.GetRawText());
        var isNew = false;
        // First, so that no letter is without.
        await documents.ChangeAsync<KeptMessage>(
            MessageKeyOf(id), kept => kept is not null && !isGenuine ? kept : new KeptMessage(message), cancellationToken);
        var letter = await _letters.PutAsync(
            id,
            (current, page) =>
            {
                isNew = current is null;
                if (current is not null && !isGenuine)
                    return current;

                var (attempts, lastAt, error) = describe(current);
                return new DeadLetter(
                    id,
                    eventId,
                    CloudEvents.Text(message, "topic"),
                    CloudEvents.Text(message, "stream"),
                    CloudEvents.Text(message, "type"),
                    current?.ReceivedAt ?? time.GetUtcNow(),
                    attempts,
                    lastAt,
                    error,
                    page,
                    current?.Taken);
            },
            cancellationToken);
        if (isNew)
            Kept.Add(1, new KeyValuePair<string, object?>("topic", KnownTopic(letter.Topic)));
        return letter;
    }

    // A message may name anything.
    private string KnownTopic(string? topic) => topics.Find(topic)?.Name ?? "other";

    private static string KeyOf(string id) => $"dead-letters|letter|{id}";

    private static string MessageKeyOf(string id) => $"dead-letters|message|{id}";

    private static string ReplacedKeyOf(string id) => $"dead-letters|replaced|{id}";

    private sealed record KeptMessage(JsonElement Message);

    /// <param name="By">The id of the edit.</param>
    private sealed record Replaced(string By);
}
