using System.Text.Json;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;

namespace DaprOrders.ServiceDefaults.DeadLetters;

internal static class ActKinds
{
    public const string Redrive = "redrive";
    public const string RedriveOfMany = "redriveOfMany";
    public const string EditedRedrive = "editedRedrive";
    public const string Discard = "discard";
}

/// <summary>What an edited message came to that was handled without an effect.</summary>
internal static class ActEffects
{
    /// <summary>Its place in its stream had been passed before.</summary>
    public const string PassedOver = "passedOver";

    /// <summary>There was nothing to do any more.</summary>
    public const string Nothing = "withoutEffect";

    public static string? Of(EventOutcome outcome) => outcome switch
    {
        { IsPassedOver: true } => PassedOver,
        { IsTold: true, Caused: 0 } => Nothing,
        _ => null,
    };
}

/// <summary>What an operator did about dead letters, and what came of it.</summary>
/// <param name="Kind">One of <see cref="ActKinds"/>.</param>
/// <param name="By">Who asked for it; null where nobody had to say.</param>
/// <param name="Reason">In that person's words; null when none was given.</param>
/// <param name="EndedAt">Null: under way, or its process ended before it could say what became of it.</param>
/// <param name="Letters">How many it was asked for; null: all that there were.</param>
/// <param name="Done">Handled, or given up.</param>
/// <param name="Error">Why the last one that failed did.</param>
/// <param name="LetterId">This and what follows: of the one letter that it was about.</param>
/// <param name="Effect">One of <see cref="ActEffects"/>; null: it had one, or nobody knows.</param>
internal sealed record OperatorAct(
    string Id,
    string Kind,
    string? By,
    string? Reason,
    DateTimeOffset At,
    DateTimeOffset? EndedAt,
    int? Letters,
    int Done,
    int Failed,
    string? Error,
    string? LetterId,
    string? EventId,
    string? Topic,
    string? Stream,
    string? Type,
    long Page,
    string? Effect = null) : IPaged;

/// <summary>An edit by an operator: the message as it came, and as it was handled.</summary>
internal sealed record EditedMessage(JsonElement Original, JsonElement Edited);

/// <summary>
/// The record of what operators did: each act is noted before anything is done, and what came of it before its letter goes. The latest
/// ten thousand are kept.
/// </summary>
internal sealed class OperatorActs(Documents documents, TimeProvider time)
{
    private readonly PagedDocuments<OperatorAct> _acts = new(documents, "dead-letters|acts-index", id => $"dead-letters|act|{id}");

    /// <summary>Of <see cref="PagedDocuments{T}.IdsInPage"/> acts.</summary>
    internal int MostPages { get; init; } = 100;

    public string NewId() => Guid.CreateVersion7(time.GetUtcNow()).ToString("N");

    public Task BeginAsync(string id, string kind, DeadLetter letter, string? by, string? reason, CancellationToken cancellationToken) => AddAsync(
        id,
        page => new OperatorAct(
            id, kind, by, reason, time.GetUtcNow(), null, 1, 0, 0, null, letter.Id, letter.EventId, letter.Topic, letter.Stream, letter.Type, page),
        cancellationToken);

    /// <summary>A job that goes on has begun already.</summary>
    public Task<OperatorAct> BeginAsync(RedriveJob job, CancellationToken cancellationToken) => AddAsync(
        job.Id,
        page => new OperatorAct(
            job.Id, ActKinds.RedriveOfMany, job.By, null, job.StartedAt, null, job.Ids?.Count, 0, 0, null, null, null, null, null, null, page),
        cancellationToken);

    /// <param name="error">Null: it is done.</param>
    /// <param name="effect">One of <see cref="ActEffects"/>.</param>
    public Task EndAsync(string id, string? error, string? effect, CancellationToken cancellationToken) =>
        EndAsync(id, error is null ? 1 : 0, error is null ? 0 : 1, error, effect, cancellationToken);

    public Task<OperatorAct?> EndAsync(string id, int done, int failed, string? error, string? effect, CancellationToken cancellationToken) => _acts.ChangeAsync(
        id, act => act with { EndedAt = time.GetUtcNow(), Done = done, Failed = failed, Error = error, Effect = effect }, cancellationToken);

    /// <summary>Before its act begins: messages are large, so lists go without them.</summary>
    public Task KeepEditAsync(string id, EditedMessage edit, CancellationToken cancellationToken) =>
        documents.ChangeAsync<EditedMessage>(EditKeyOf(id), _ => edit, cancellationToken);

    public Task<OperatorAct?> FindAsync(string id, CancellationToken cancellationToken) => _acts.FindAsync(id, cancellationToken);

    /// <summary>Null when the act was no edit.</summary>
    public Task<EditedMessage?> FindEditAsync(string id, CancellationToken cancellationToken) =>
        documents.ReadAsync<EditedMessage>(EditKeyOf(id), cancellationToken);

    /// <summary>Newest first; null when the cursor is none of ours.</summary>
    public Task<DocumentList<OperatorAct>?> ReadAsync(string? cursor, int limit, CancellationToken cancellationToken) =>
        _acts.ReadNewestAsync(cursor, limit, cancellationToken);

    private async Task<OperatorAct> AddAsync(string id, Func<long, OperatorAct> make, CancellationToken cancellationToken)
    {
        var act = await _acts.PutAsync(id, (current, page) => current ?? make(page), cancellationToken);
        if (await _acts.TakeOldestOffAsync(MostPages, cancellationToken) is { } oldest)
            await documents.DeleteAsync(EditKeyOf(oldest), cancellationToken);
        return act;
    }

    private static string EditKeyOf(string id) => $"dead-letters|edit|{id}";
}
