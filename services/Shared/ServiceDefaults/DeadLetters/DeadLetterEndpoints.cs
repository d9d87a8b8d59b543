using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Errors;
using DaprOrders.ServiceDefaults.Topics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <param name="Attempts">How often the handler failed, redrives included; 0 when no handler was asked, since no try could help.</param>
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

/// <param name="Attempts">How often the handler failed.</param>
/// <param name="Error">Of the last attempt, shortened.</param>
/// <param name="Outcome">
/// deadLetter, handled, givenUp; passed: a stream of this service among those that were asked for has it, or a later one, by another instance or another way; open: it
/// comes again, or nobody knows.
/// </param>
/// <param name="EndedAt">When it was handled or given up.</param>
/// <param name="DeadLetterId">Of a dead letter; otherwise null.</param>
internal sealed record FailureEntry(
    string EventId, string Stream, long Version, int Attempts, DateTimeOffset FirstAt, DateTimeOffset LastAt, string Error, string Outcome, DateTimeOffset? EndedAt, string? DeadLetterId);

internal sealed record FailureList(IReadOnlyList<FailureEntry> Failures);

internal sealed record DeadLetterPage(IReadOnlyList<DeadLetterEntry> DeadLetters, string? Cursor);

/// <param name="Message">The CloudEvent as it came; a JSON string when it was no JSON.</param>
internal sealed record DeadLetterDetails(DeadLetterEntry Entry, JsonElement Message);

/// <param name="Status">running or done.</param>
/// <param name="Handled">So far, at least: what was done within the last seconds before a crash is not counted.</param>
/// <param name="Failed">Those that failed again; they stay, with their new failure.</param>
/// <param name="By">Who asked for it; null where nobody had to say.</param>
/// <param name="Letters">How many it was asked for; null: all. Those that are gone meanwhile are neither handled nor failed.</param>
/// <param name="Error">Why the last one that failed did.</param>
internal sealed record RedriveReport(
    string Id, string Status, DateTimeOffset StartedAt, DateTimeOffset? FinishedAt, int Handled, int Failed, string? By, int? Letters, string? Error);

/// <param name="Ids">1 to 2,000 ids of dead letters.</param>
internal sealed record RedriveSelected(IReadOnlyList<string> Ids);

/// <param name="Data">What the event is to say: its whole data, whom it is about unchanged.</param>
/// <param name="Reason">Why, for the record: 1 to 500 characters.</param>
internal sealed record RedriveEdited(JsonElement Data, string Reason);

/// <param name="ActId">Of the act on record: GET /dead-letters/acts/{id}.</param>
/// <param name="Result">handled; passedOver: its place in its stream had been passed before, and nothing was done; withoutEffect: there was nothing to do any more.</param>
internal sealed record EditedRedriveResult(string ActId, string Result);

/// <param name="Reason">Why, for the record: nothing, or 1 to 500 characters.</param>
internal sealed record Discard(string? Reason = null);

/// <param name="Kind">redrive, redriveOfMany, editedRedrive or discard.</param>
/// <param name="By">Who asked for it; null where nobody had to say.</param>
/// <param name="EndedAt">Null: under way, or its process ended before it could say what became of it.</param>
/// <param name="Result">begun, handled, failed, givenUp; of an edit also passedOver and withoutEffect; of many: begun or done.</param>
/// <param name="Letters">How many it was about; null: all that there were.</param>
/// <param name="Done">Of many, those that were handled.</param>
/// <param name="Failed">Of many, those that failed again.</param>
/// <param name="Error">Why it failed; of many, the last one.</param>
/// <param name="EditedId">Under which id an edited message was handled: the causation id of what it caused.</param>
internal sealed record ActEntry(
    string Id,
    string Kind,
    string? By,
    string? Reason,
    DateTimeOffset At,
    DateTimeOffset? EndedAt,
    string Result,
    int? Letters,
    int Done,
    int Failed,
    string? Error,
    string? LetterId,
    string? EventId,
    string? EditedId,
    string? Topic,
    string? Stream,
    string? Type);

internal sealed record ActPage(IReadOnlyList<ActEntry> Acts, string? Cursor);

/// <param name="Original">Of an edit, the message as it came; otherwise null.</param>
/// <param name="Edited">Of an edit, the message as it was handled; otherwise null.</param>
internal sealed record ActDetails(ActEntry Entry, JsonElement? Original, JsonElement? Edited);

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
    private const int MostSelected = 2000;
    private const int MostStreams = 8;
    private const int LongestStream = 200;
    private const int UsualVersions = 20;
    private const int MostVersions = 100;
    private const int LongestErrorInList = 300;

    private static readonly Dictionary<string, long> NoPositions = [];

    /// <summary>An event's data may be written at length; what it comes to is looked at then.</summary>
    private const int LargestEdit = 8 * 1024 * 1024;

    public static void AddDeadLetters(this IServiceCollection services)
    {
        services.AddSingleton<FailureLog>();
        services.AddSingleton<DeadLetterStore>();
        services.AddSingleton<RemovedLetters>();
        services.AddSingleton<OperatorActs>();
        services.AddSingleton<LetterEdits>();
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
        letters.MapGet("/counts", CountAsync).AnswersProblems(400, 503)
            .WithSummary("How many there are, by reason and topic, when the first and the last came: of 2,000 in one answer, `cursor` is that of the following.");
        letters.MapGet("/failures", ListFailuresAsync).AnswersProblems(400, 503)
            .WithSummary("What could not be handled at the first attempt of the events `from` to `to` (1 to 20) of up to 8 streams, within a week or as a dead letter, and what came of it. That another instance has handled it is seen where the stream of this service that takes it is among them.");
        letters.MapGet("/{id}", GetAsync).AnswersProblems(404, 503)
            .WithSummary("A message that was not handled, as it came.");
        letters.MapPost("/{id}/redrive", RedriveAsync).AnswersProblems(404, 409, 503)
            .WithSummary("Handles a message once more: 204, it is done and no dead letter any more; 409, it failed again, or another act about it is under way.");
        letters.MapPost("/{id}/edited-redrive", RedriveEditedAsync).WithMetadata(new RequestSizeLimitAttribute(LargestEdit)).AnswersProblems(400, 404, 409, 413, 415, 503)
            .WithSummary("Handles a message with other data, as a new message whose cause it is: 200, it is no dead letter any more; 409, it failed, and the dead letter stays as it was, or another act about it is under way.");
        letters.MapPost("/redrive", RedriveAllAsync).AnswersProblems(409, 503)
            .WithSummary("Begins to handle all of them once more, unless that is under way; those that fail again stay. GET tells how far it is. 409: one for some of them is under way.");
        letters.MapPost("/redrive/selected", RedriveSelectedAsync).AnswersProblems(400, 409, 413, 415, 503)
            .WithSummary("As above, for some of them. 409: one for others is under way.");
        letters.MapGet("/redrive", FindRedriveAsync).AnswersProblems(404, 503)
            .WithSummary("The redrive of all, or of some, that runs or ran last.");
        letters.MapGet("/acts", ListActsAsync).AnswersProblems(400, 503)
            .WithSummary("What operators did about dead letters, newest first, the latest ten thousand acts; `cursor` is that of the following page.");
        letters.MapGet("/acts/{id}", GetActAsync).AnswersProblems(404, 503)
            .WithSummary("One of them; of an edit, the message as it came and as it was handled.");
        letters.MapPost("/{id}/discard", DiscardAsync).AnswersProblems(400, 404, 409, 413, 415, 503)
            .WithSummary("Gives a message up. That it was, and `reason`, stays on record. 409: another act about it is under way.");
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
        await FindAsync(store, id, cancellationToken) is { } letter && await store.FindMessageAsync(letter, cancellationToken) is { } message
            ? TypedResults.Ok(new DeadLetterDetails(Entry(letter), message))
            : NotFound(id);

    private static async Task<Results<Ok<DeadLetterCounts>, ProblemHttpResult>> CountAsync(DeadLetterStore store, string? cursor, CancellationToken cancellationToken) =>
        await store.CountAsync(cursor, cancellationToken) is { } counts ? TypedResults.Ok(counts) : WrongCursor();

    private static async Task<Results<Ok<FailureList>, ProblemHttpResult>> ListFailuresAsync(
        DeadLetterStore store, FailureLog failures, [FromServices] EventStore? own, string[] stream, long? from, long? to, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors()
            .Require(stream.Length is >= 1 and <= MostStreams, "stream", $"Expected 1 to {MostStreams} streams; got {stream.Length}.")
            .RequireRange(from ?? 1, "from", 1, int.MaxValue);
        var first = from ?? 1;
        if (!errors.Any)
            errors.RequireRange(to ?? first, "to", first, first + MostVersions - 1);
        foreach (var name in stream)
            errors.RequireText(name, "stream", LongestStream);
        if (errors.Any)
            return errors.ToProblem();

        var last = to ?? first + UsualVersions - 1;
        var events = stream.Distinct().SelectMany(name => Enumerable.Range(0, (int)(last - first) + 1).Select(i => (Stream: name, Version: first + i, Id: $"{name}:{first + i}"))).ToList();
        var noted = failures.FindAsync([.. events.Select(e => e.Id)], cancellationToken);
        var letters = (await store.FindAsync([.. events.Select(e => DeadLetterStore.IdOf(e.Id))], cancellationToken)).ToDictionary(letter => letter.Id);
        var found = await noted;
        // Only who failed notes that it was handled; where another one has done it, the position says so that it has left in its stream.
        var isOpen = found.Values.Any(failure => failure.Outcome is null && !letters.ContainsKey(DeadLetterStore.IdOf(failure.EventId)));
        var positions = isOpen && own is not null ? await own.ReadPositionsAsync([.. stream.Distinct().Where(StreamName.IsValid)], cancellationToken) : NoPositions;
        return TypedResults.Ok(new FailureList(
            [.. events.Select(e => Entry(e.Stream, e.Version, e.Id, found.GetValueOrDefault(e.Id), letters.GetValueOrDefault(DeadLetterStore.IdOf(e.Id)), positions)).OfType<FailureEntry>()]));
    }

    /// <summary>The letter, taken for one act; or why not.</summary>
    private static async Task<(DeadLetter? Letter, ProblemHttpResult? Refusal)> TakeAsync(DeadLetterStore store, string id, string actId, CancellationToken cancellationToken)
    {
        if (!FieldErrors.IsId(id) || await store.TakeAsync(id, actId, cancellationToken) is not { } letter)
            return (null, NotFound(id));
        return letter.Taken is { } taken && taken.By != actId
            ? (null, Problems.Conflict("letter-taken", $"Another act about this dead letter is under way, until {taken.Until:O} at most: GET /dead-letters/acts/{taken.By} or, of a job, /dead-letters/redrive. See what comes of it."))
            : (letter, null);
    }

    private static async Task<Results<NoContent, ProblemHttpResult>> RedriveAsync(
        HttpContext context, DeadLetterStore store, Redriving redriving, OperatorActs acts, string id, CancellationToken cancellationToken)
    {
        var (letter, refusal) = await TakeAsync(store, id, acts.NewId(), cancellationToken);
        if (letter is null)
            return refusal!;

        return await redriving.TryAsync(letter, NameOf(context), cancellationToken) is { } failure
            ? Problems.Conflict("redrive-failed", $"The event failed again and stays a dead letter. {failure}")
            : TypedResults.NoContent();
    }

    private static async Task<Results<Ok<EditedRedriveResult>, ProblemHttpResult>> RedriveEditedAsync(
        HttpContext context, DeadLetterStore store, LetterEdits edits, OperatorActs acts, Redriving redriving, string id, RedriveEdited edit, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors()
            .Require(edit.Data.ValueKind == JsonValueKind.Object, "data", $"Expected a JSON object; got {edit.Data.ValueKind.ToString().ToLowerInvariant()}.")
            .RequireText(edit.Reason, "reason", LongestReason);
        if (errors.Any)
            return errors.ToProblem();
        if (await FindAsync(store, id, cancellationToken) is not { } letter || await store.FindMessageAsync(letter, cancellationToken) is not { } message)
            return NotFound(id);

        var actId = acts.NewId();
        var (edited, refusal) = edits.Edit(letter, message, edit.Data, actId, NameOf(context));
        if (edited is null)
            return refusal!;
        (var mine, refusal) = await TakeAsync(store, id, actId, cancellationToken);
        if (mine is null)
            return refusal!;

        return await redriving.TryAsync(mine, actId, edited, NameOf(context), edit.Reason, cancellationToken) is { } failure
            ? Problems.Conflict("edit-failed", $"The edited message failed, and the dead letter stays as it was. {failure}")
            : TypedResults.Ok(new EditedRedriveResult(actId, ActEffects.Of(edited.Event.Outcome!) ?? "handled"));
    }

    private static async Task<Results<Accepted<RedriveReport>, ProblemHttpResult>> RedriveAllAsync(
        HttpContext context, RedriveJobs jobs, CancellationToken cancellationToken) => Begun(await jobs.BeginAsync(null, NameOf(context), cancellationToken));

    private static async Task<Results<Accepted<RedriveReport>, ProblemHttpResult>> RedriveSelectedAsync(
        HttpContext context, RedriveJobs jobs, RedriveSelected selected, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().Require(
            selected.Ids.Count is >= 1 and <= MostSelected, "ids", $"Expected 1 to {MostSelected} ids; got {selected.Ids.Count}.");
        for (var i = 0; i < selected.Ids.Count && !errors.Any; i++)
            errors.RequireId(selected.Ids[i], $"ids[{i}]");
        return errors.Any ? errors.ToProblem() : Begun(await jobs.BeginAsync([.. selected.Ids.Distinct()], NameOf(context), cancellationToken));
    }

    private static async Task<Results<Ok<RedriveReport>, ProblemHttpResult>> FindRedriveAsync(RedriveJobs jobs, CancellationToken cancellationToken) =>
        await jobs.FindAsync(cancellationToken) is { } job
            ? TypedResults.Ok(Report(job))
            : Problems.NotFound("no-redrive", "All dead letters together were never redriven here. POST /dead-letters/redrive begins it.");

    private static async Task<Results<NoContent, ProblemHttpResult>> DiscardAsync(
        HttpContext context, DeadLetterStore store, RemovedLetters removed, OperatorActs acts, TopicRegistry topics, string id, Discard? discard, CancellationToken cancellationToken)
    {
        var (errors, reason) = (new FieldErrors(), discard?.Reason);
        if (reason is not null)
            errors.RequireText(reason, "reason", LongestReason);
        if (errors.Any)
            return errors.ToProblem();
        var actId = acts.NewId();
        var (letter, refusal) = await TakeAsync(store, id, actId, cancellationToken);
        if (letter is null)
            return refusal!;

        await acts.BeginAsync(actId, ActKinds.Discard, letter, NameOf(context), reason, cancellationToken);
        await removed.AddAsync(letter, NameOf(context), reason, cancellationToken);
        // One that only names an event says nothing of what became of that.
        var isGenuine = topics.Find(letter.Topic) is { } topic && await store.FindMessageAsync(letter, cancellationToken) is { } message && topic.IsGenuine(message);
        await store.RemoveAsync(letter, isGenuine ? FailureOutcomes.GivenUp : null, cancellationToken);
        await acts.EndAsync(actId, error: null, effect: null, cancellationToken);
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

    private static async Task<Results<Ok<ActPage>, ProblemHttpResult>> ListActsAsync(
        OperatorActs acts, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        if (PageErrors(limit) is { Any: true } errors)
            return errors.ToProblem();

        return await acts.ReadAsync(cursor, limit ?? UsualInList, cancellationToken) is { } list
            ? TypedResults.Ok(new ActPage([.. list.Items.Select(Entry)], list.Next))
            : WrongCursor();
    }

    private static async Task<Results<Ok<ActDetails>, ProblemHttpResult>> GetActAsync(OperatorActs acts, string id, CancellationToken cancellationToken)
    {
        if (!FieldErrors.IsId(id) || await acts.FindAsync(id, cancellationToken) is not { } act)
            return Problems.NotFound("act-not-found", $"There is no act '{id}' on record here. The latest ten thousand are kept.");

        var edit = await acts.FindEditAsync(id, cancellationToken);
        return TypedResults.Ok(new ActDetails(Entry(act), edit?.Original, edit?.Edited));
    }

    private static Results<Accepted<RedriveReport>, ProblemHttpResult> Begun(RedriveJob? job) => job is not null
        ? TypedResults.Accepted("/dead-letters/redrive", Report(job))
        : Problems.Conflict("redrive-running", "A redrive of other dead letters is under way here. GET /dead-letters/redrive tells how far it is; ask again when it is done.");

    /// <summary>As the token has it; no more of a person is kept.</summary>
    private static string? NameOf(HttpContext context) => context.User.Identity?.Name;

    private static FieldErrors PageErrors(int? limit) => new FieldErrors().RequireRange(limit ?? UsualInList, "limit", 1, MostInList);

    private static ProblemHttpResult WrongCursor() => new FieldErrors().Add("cursor", "Expected the 'cursor' of an earlier page.").ToProblem();

    private static RedriveReport Report(RedriveJob job) =>
        new(job.Id, job.IsRunning ? "running" : "done", job.StartedAt, job.FinishedAt, job.Handled, job.Failed, job.By, job.Ids?.Count, job.Error);

    private static ActEntry Entry(OperatorAct act) => new(
        act.Id,
        act.Kind,
        act.By,
        act.Reason,
        act.At,
        act.EndedAt,
        act switch
        {
            { EndedAt: null } => "begun",
            { Kind: ActKinds.RedriveOfMany } => "done",
            { Kind: ActKinds.Discard } => "givenUp",
            { Failed: 0 } => act.Effect ?? "handled",
            _ => "failed",
        },
        act.Letters,
        act.Done,
        act.Failed,
        act.Error,
        act.LetterId,
        act.EventId,
        act.Kind == ActKinds.EditedRedrive ? LetterEdits.IdOf(act.EventId!, act.Id) : null,
        act.Topic,
        act.Stream,
        act.Type);

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

    private static FailureEntry? Entry(
        string stream, long version, string id, Failure? failure, DeadLetter? letter, IReadOnlyDictionary<string, long> positions)
    {
        if ((failure, letter) is (null, null))
            return null;

        var error = letter?.Error ?? failure!.Error;
        return new FailureEntry(
            id,
            stream,
            version,
            letter?.Attempts ?? failure!.Attempts,
            failure?.FirstAt ?? letter!.ReceivedAt,
            letter?.LastAttemptAt ?? failure?.LastAt ?? letter!.ReceivedAt,
            error.Length <= LongestErrorInList ? error : $"{error[..LongestErrorInList]}…",
            letter is null ? failure!.Outcome ?? (positions.GetValueOrDefault(stream) >= version ? "passed" : "open") : "deadLetter",
            letter is null ? failure!.EndedAt : null,
            letter?.Id);
    }

    private static ProblemHttpResult NotFound(string id) =>
        Problems.NotFound("dead-letter-not-found", $"There is no dead letter '{id}' here. It may have been redriven or removed.");
}
