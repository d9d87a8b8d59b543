using System.Text.Json;
using Dapr;
using DaprOrders.ServiceDefaults.Errors;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <param name="Attempts">How often the handler failed, redrives included; 0 when the event never reached it.</param>
internal sealed record DeadLetterEntry(
    string Id,
    string? EventId,
    string? Topic,
    string? Stream,
    string? Type,
    DateTimeOffset ReceivedAt,
    int Attempts,
    DateTimeOffset? LastAttemptAt,
    string Error);

internal sealed record DeadLetterPage(IReadOnlyList<DeadLetterEntry> DeadLetters, string? Cursor);

/// <param name="Message">The CloudEvent as it came; a JSON string when it was no JSON.</param>
internal sealed record DeadLetterDetails(DeadLetterEntry Entry, JsonElement Message);

/// <param name="Failed">Those that failed again; they stay.</param>
internal sealed record RedriveReport(int Handled, IReadOnlyList<DeadLetterEntry> Failed);

internal static class DeadLetterEndpoints
{
    private const int MostInList = 500;

    public static void MapDeadLetters(this WebApplication app)
    {
        app.MapPost("/events/dead-letters", ReceiveAsync).ExcludeFromDescription();

        var letters = app.MapGroup("/dead-letters").WithTags("Dead letters");
        letters.MapGet("/", ListAsync).AnswersProblems(400, 503)
            .WithSummary("The messages that were not handled, oldest first; `cursor` is that of the following page.");
        letters.MapGet("/{id}", GetAsync).AnswersProblems(404, 503)
            .WithSummary("A message that was not handled, as it came.");
        letters.MapPost("/{id}/redrive", RedriveAsync).AnswersProblems(404, 409, 503)
            .WithSummary("Handles a message once more: 204, it is done and no dead letter any more; 409, it failed again.");
        letters.MapPost("/redrive", RedriveAllAsync).AnswersProblems(503)
            .WithSummary("Handles all of them once more; those that fail again stay.");
        letters.MapDelete("/{id}", RemoveAsync).AnswersProblems(404, 503)
            .WithSummary("Gives a message up.");
    }

    private static Task ReceiveAsync(HttpContext context, DeadLetterStore store, ILogger<DeadLetterStore> logger) =>
        TopicEndpoints.ReceiveAsync(context, async (messages, cancellationToken) =>
        {
            var statuses = new DeliveryStatus[messages.Count];
            for (var i = 0; i < messages.Count; i++)
            {
                try
                {
                    var letter = await store.KeepAsync(messages[i], cancellationToken);
                    logger.LogError(
                        "Dead letter {DeadLetterId}: event {EventId} of topic {Topic} after {Attempts} attempts: {Error}",
                        letter.Id, letter.EventId, letter.Topic, letter.Attempts, letter.Error);
                }
                catch (DaprException exception)
                {
                    logger.LogWarning(exception, "A dead letter could not be kept; it will be delivered again");
                    statuses[i] = DeliveryStatus.Retry;
                }
            }

            return statuses;
        });

    private static async Task<Results<Ok<DeadLetterPage>, ProblemHttpResult>> ListAsync(
        DeadLetterStore store, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().RequireRange(limit ?? 100, "limit", 1, MostInList);
        if (errors.Any)
            return errors.ToProblem();

        var list = await store.ReadAsync(cursor, limit ?? 100, cancellationToken);
        return list is null
            ? new FieldErrors().Add("cursor", "Expected the 'cursor' of an earlier page.").ToProblem()
            : TypedResults.Ok(new DeadLetterPage([.. list.Items.Select(Entry)], list.Next));
    }

    private static async Task<Results<Ok<DeadLetterDetails>, ProblemHttpResult>> GetAsync(
        DeadLetterStore store, string id, CancellationToken cancellationToken) =>
        await FindAsync(store, id, cancellationToken) is { } letter
            ? TypedResults.Ok(new DeadLetterDetails(Entry(letter), letter.Message))
            : NotFound(id);

    private static async Task<Results<NoContent, ProblemHttpResult>> RedriveAsync(
        DeadLetterStore store, TopicRegistry topics, string id, CancellationToken cancellationToken)
    {
        if (await FindAsync(store, id, cancellationToken) is not { } letter)
            return NotFound(id);

        return await TryRedriveAsync(store, topics, letter, cancellationToken) is { } failed
            ? Problems.Conflict("redrive-failed", $"The event failed again and stays a dead letter. {failed.Error}")
            : TypedResults.NoContent();
    }

    private static async Task<Ok<RedriveReport>> RedriveAllAsync(
        DeadLetterStore store, TopicRegistry topics, CancellationToken cancellationToken)
    {
        var handled = 0;
        var failed = new List<DeadLetterEntry>();
        string? cursor = null;
        do
        {
            var list = await store.ReadAsync(cursor, MostInList, cancellationToken) ?? new DeadLetterList([], null);
            foreach (var letter in list.Items)
            {
                if (await TryRedriveAsync(store, topics, letter, cancellationToken) is { } failedAgain)
                    failed.Add(Entry(failedAgain));
                else
                    handled++;
            }

            cursor = list.Next;
        }
        while (cursor is not null && failed.Count < MostInList);
        return TypedResults.Ok(new RedriveReport(handled, failed));
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RemoveAsync(
        DeadLetterStore store, string id, CancellationToken cancellationToken)
    {
        if (await FindAsync(store, id, cancellationToken) is not { } letter)
            return NotFound(id);

        await store.RemoveAsync(letter, cancellationToken);
        return TypedResults.NoContent();
    }

    /// <summary>Null when it was handled; otherwise the letter with its new failure.</summary>
    private static async Task<DeadLetter?> TryRedriveAsync(
        DeadLetterStore store, TopicRegistry topics, DeadLetter letter, CancellationToken cancellationToken)
    {
        try
        {
            var topic = topics.Find(letter.Topic) ?? throw new UnreadableEventException(
                $"The message names the topic '{letter.Topic}'; this service handles {string.Join(", ", topics.Names)}.");
            await topic.RedriveAsync(letter.Message, cancellationToken);
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested)
        {
            return await store.FailedAgainAsync(letter.Id, exception, cancellationToken);
        }

        await store.RemoveAsync(letter, cancellationToken);
        return null;
    }

    private static Task<DeadLetter?> FindAsync(DeadLetterStore store, string id, CancellationToken cancellationToken) =>
        FieldErrors.IsId(id) ? store.FindAsync(id, cancellationToken) : Task.FromResult<DeadLetter?>(null);

    private static DeadLetterEntry Entry(DeadLetter letter) => new(
        letter.Id,
        letter.EventId,
        letter.Topic,
        letter.Stream,
        letter.Type,
        letter.ReceivedAt,
        letter.Attempts,
        letter.LastAttemptAt,
        letter.Error);

    private static ProblemHttpResult NotFound(string id) =>
        Problems.NotFound("dead-letter-not-found", $"There is no dead letter '{id}' here. It may have been redriven or removed.");
}
