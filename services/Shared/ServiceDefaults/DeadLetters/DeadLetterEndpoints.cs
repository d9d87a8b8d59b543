using System.Text.Json;
using DaprOrders.ServiceDefaults.Errors;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection;

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

/// <param name="Status">running or done.</param>
/// <param name="Handled">So far, at least: what was done within the last seconds before a crash is not counted.</param>
/// <param name="Failed">Those that failed again; they stay, with their new failure.</param>
internal sealed record RedriveReport(string Id, string Status, DateTimeOffset StartedAt, DateTimeOffset? FinishedAt, int Handled, int Failed);

/// <param name="By">Who asked for it; null where nobody had to say.</param>
/// <param name="Reason">In that person's words.</param>
/// <param name="Error">Why the event was not handled.</param>
internal sealed record RemovalEntry(
    DateTimeOffset RemovedAt,
    string? By,
    string? Reason,
    string? EventId,
    string? Topic,
    string? Stream,
    string? Type,
    DateTimeOffset ReceivedAt,
    int Attempts,
    string Error);

internal sealed record RemovalPage(IReadOnlyList<RemovalEntry> Removed, string? Cursor);

internal static class DeadLetterEndpoints
{
    private const int MostInList = 500;
    private const int UsualInList = 100;
    private const int LongestReason = 500;

    public static void AddDeadLetters(this IServiceCollection services)
    {
        services.AddSingleton<FailureLog>();
        services.AddSingleton<DeadLetterStore>();
        services.AddSingleton<RemovedLetters>();
        services.AddSingleton<DeadLetterTopic>();
        services.AddSingleton<Redriving>();
        services.AddSingleton<RedriveJobs>();
        services.AddHostedService(provider => provider.GetRequiredService<RedriveJobs>());
    }

    public static void MapDeadLetters(this WebApplication app)
    {
        app.MapPost("/events/dead-letters", (HttpContext context, DeadLetterTopic topic) => TopicEndpoints.ReceiveAsync(context, topic.ReceiveAsync))
            .ExcludeFromDescription();

        var letters = app.MapGroup("/dead-letters").WithTags("Dead letters");
        letters.MapGet("/", ListAsync).AnswersProblems(400, 503)
            .WithSummary("The messages that were not handled, oldest first; `cursor` is that of the following page.");
        letters.MapGet("/{id}", GetAsync).AnswersProblems(404, 503)
            .WithSummary("A message that was not handled, as it came.");
        letters.MapPost("/{id}/redrive", RedriveAsync).AnswersProblems(404, 409, 503)
            .WithSummary("Handles a message once more: 204, it is done and no dead letter any more; 409, it failed again.");
        letters.MapPost("/redrive", RedriveAllAsync).AnswersProblems(503)
            .WithSummary("Begins to handle all of them once more, unless that is under way; those that fail again stay. GET tells how far it is.");
        letters.MapGet("/redrive", FindRedriveAsync).AnswersProblems(404, 503)
            .WithSummary("The redrive of all that runs, or ran last.");
        letters.MapDelete("/{id}", RemoveAsync).AnswersProblems(400, 404, 503)
            .WithSummary("Gives a message up. That it was, and `reason`, stays on record.");
        letters.MapGet("/removed", ListRemovedAsync).AnswersProblems(400, 503)
            .WithSummary("The record of the messages that were given up, oldest first; `cursor` is that of the following page.");
    }

    private static async Task<Results<Ok<DeadLetterPage>, ProblemHttpResult>> ListAsync(
        DeadLetterStore store, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        if (PageErrors(limit) is { Any: true } errors)
            return errors.ToProblem();

        return await store.ReadAsync(cursor, limit ?? UsualInList, cancellationToken) is { } list
            ? TypedResults.Ok(new DeadLetterPage([.. list.Items.Select(Entry)], list.Next))
            : WrongCursor();
    }

    private static async Task<Results<Ok<DeadLetterDetails>, ProblemHttpResult>> GetAsync(
        DeadLetterStore store, string id, CancellationToken cancellationToken) =>
        await FindAsync(store, id, cancellationToken) is { } letter
            ? TypedResults.Ok(new DeadLetterDetails(Entry(letter), letter.Message))
            : NotFound(id);

    private static async Task<Results<NoContent, ProblemHttpResult>> RedriveAsync(
        DeadLetterStore store, Redriving redriving, string id, CancellationToken cancellationToken)
    {
        if (await FindAsync(store, id, cancellationToken) is not { } letter)
            return NotFound(id);

        return await redriving.TryAsync(letter, cancellationToken) is { } failed
            ? Problems.Conflict("redrive-failed", $"The event failed again and stays a dead letter. {failed.Error}")
            : TypedResults.NoContent();
    }

    private static async Task<Accepted<RedriveReport>> RedriveAllAsync(RedriveJobs jobs, CancellationToken cancellationToken) =>
        TypedResults.Accepted("/dead-letters/redrive", Report(await jobs.BeginAsync(cancellationToken)));

    private static async Task<Results<Ok<RedriveReport>, ProblemHttpResult>> FindRedriveAsync(RedriveJobs jobs, CancellationToken cancellationToken) =>
        await jobs.FindAsync(cancellationToken) is { } job
            ? TypedResults.Ok(Report(job))
            : Problems.NotFound("no-redrive", "All dead letters together were never redriven here. POST /dead-letters/redrive begins it.");

    private static async Task<Results<NoContent, ProblemHttpResult>> RemoveAsync(
        HttpContext context, DeadLetterStore store, RemovedLetters removed, string id, string? reason, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors();
        if (reason is not null)
            errors.RequireText(reason, "reason", LongestReason);
        if (errors.Any)
            return errors.ToProblem();
        if (await FindAsync(store, id, cancellationToken) is not { } letter)
            return NotFound(id);

        await removed.AddAsync(letter, context.User.Identity?.Name, reason, cancellationToken);
        await store.RemoveAsync(letter, cancellationToken);
        return TypedResults.NoContent();
    }

    private static async Task<Results<Ok<RemovalPage>, ProblemHttpResult>> ListRemovedAsync(
        RemovedLetters removed, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        if (PageErrors(limit) is { Any: true } errors)
            return errors.ToProblem();

        return await removed.ReadAsync(cursor, limit ?? UsualInList, cancellationToken) is { } list
            ? TypedResults.Ok(new RemovalPage(
                [.. list.Items.Select(e => new RemovalEntry(
                    e.RemovedAt, e.By, e.Reason, e.EventId, e.Topic, e.Stream, e.Type, e.ReceivedAt, e.Attempts, e.Error))],
                list.Next))
            : WrongCursor();
    }

    private static FieldErrors PageErrors(int? limit) => new FieldErrors().RequireRange(limit ?? UsualInList, "limit", 1, MostInList);

    private static ProblemHttpResult WrongCursor() => new FieldErrors().Add("cursor", "Expected the 'cursor' of an earlier page.").ToProblem();

    private static RedriveReport Report(RedriveJob job) =>
        new(job.Id, job.IsRunning ? "running" : "done", job.StartedAt, job.FinishedAt, job.Handled, job.Failed);

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
