using System.Net;
using System.Text.Json;
using DaprOrders.Console.Calling;
using DaprOrders.ServiceDefaults.Errors;

namespace DaprOrders.Console.DeadLetters;

public sealed record ActOf(string App, Act Act);

/// <param name="IsAll">False: there are more than were read.</param>
public sealed record LettersOfApp(IReadOnlyList<DeadLetter> Letters, bool IsAll);

/// <param name="IsAll">False: a service has more than were read.</param>
public sealed record LetterList(IReadOnlyList<LetterGroup> Groups, IReadOnlyList<ActOf> Acts, IReadOnlyList<Failure> Failures, bool IsAll)
{
    private const int MostBroughtAlong = 50;
    private const int MostActs = 10;

    public int Count => Groups.Sum(group => group.Count);

    /// <summary>What a page brings along, and its circuit can take: the messages themselves are read there.</summary>
    public LetterList WithoutLetters() => this with
    {
        Groups = [.. Groups.Take(MostBroughtAlong).Select(group => group with { Letters = [] })],
        Acts = [.. Acts.Take(MostActs)],
    };
}

/// <summary>The dead letters of all services, and what operators did about them.</summary>
public sealed class LettersReader(ServicesClient services)
{
    private const int PerPage = 500;
    private const int MostPages = 4;
    private const int MostActs = 50;
    private const int LongestError = 300;

    public async Task<LetterList> ReadAsync(CancellationToken cancellationToken)
    {
        var reading = Task.WhenAll(Apps.All.Select(async app => (app, Read: await ReadOfAsync(app, cancellationToken))));
        var acts = await Task.WhenAll(Apps.All.Select(async app => (app, Read: await ReadActsAsync(app, null, cancellationToken))));
        var letters = await reading;
        return new(
            LetterGroup.Of(letters.Where(of => of.Read.IsHere).SelectMany(of => of.Read.Value!.Letters.Select(letter => (of.app, letter)))),
            [.. acts.SelectMany(of => (of.Read.Value?.Acts ?? []).Select(act => new ActOf(of.app, act with { Error = act.Error is null ? null : FirstLine(act.Error) })))
                .OrderByDescending(of => of.Act.At).Take(MostActs)],
            [.. letters.Select(of => of.Read.Failure).Concat(acts.Select(of => of.Read.Failure)).OfType<Failure>().DistinctBy(failure => failure.ToString())],
            letters.All(of => of.Read.Value is null or { IsAll: true }));
    }

    /// <summary>Of one service, the oldest first, each with the first line of its failure: all of them, unless there are very many.</summary>
    public async Task<Answer<LettersOfApp>> ReadOfAsync(string app, CancellationToken cancellationToken)
    {
        var letters = new List<DeadLetter>();
        string? cursor = null;
        for (var page = 0; page < MostPages; page++)
        {
            var read = await services.GetAsync<DeadLetterPage>(app, $"dead-letters?limit={PerPage}{ServicesClient.From(cursor)}", cancellationToken);
            if (!read.IsHere)
                return new(null, read.Failure);
            letters.AddRange(read.Value.DeadLetters.Select(letter => letter with { Error = FirstLine(letter.Error) }));
            cursor = read.Value.Cursor;
            if (cursor is null)
                break;
        }

        return new(new(letters, cursor is null), null);
    }

    /// <summary>The message itself, as it came.</summary>
    public async Task<Answer<DeadLetterDetails>> ReadMessageAsync(string app, string id, CancellationToken cancellationToken)
    {
        var read = await GetByIdAsync<DeadLetterDetails>(app, "", id, cancellationToken);
        // The id comes from the address: "removed" or "counts" is none, and is answered with something else.
        return read is { IsHere: true, Value.Entry: null } ? new(null, new(app, HttpStatusCode.NotFound, $"“{id}” is no dead letter.")) : read;
    }

    /// <summary>Null: it was handled.</summary>
    public async Task<Failure?> RedriveAsync(string app, string id, CancellationToken cancellationToken) =>
        (await services.SendAsync<Nothing>(HttpMethod.Post, app, $"dead-letters/{id}/redrive", null, cancellationToken)).Failure;

    /// <summary>Many at once: a job of the service, which goes on whoever looks.</summary>
    public Task<Answer<RedriveJob>> BeginRedriveAsync(string app, IReadOnlyList<string> ids, CancellationToken cancellationToken) =>
        services.SendAsync<RedriveJob>(HttpMethod.Post, app, "dead-letters/redrive/selected", new { ids }, cancellationToken);

    /// <summary>The job that runs there, or ran last.</summary>
    public Task<Answer<RedriveJob>> ReadRedriveAsync(string app, CancellationToken cancellationToken) =>
        services.GetAsync<RedriveJob>(app, "dead-letters/redrive", cancellationToken);

    /// <summary>What came of it, as it was edited.</summary>
    public Task<Answer<EditedRedrive>> RedriveEditedAsync(string app, string id, JsonElement data, string reason, CancellationToken cancellationToken) =>
        services.SendAsync<EditedRedrive>(
            HttpMethod.Post, app, $"dead-letters/{Uri.EscapeDataString(id)}/edited-redrive", new { data, reason }, cancellationToken);

    /// <summary>What an operator did; of an edit, what was edited, and into what.</summary>
    public Task<Answer<ActDetails>> ReadActAsync(string app, string id, CancellationToken cancellationToken) =>
        GetByIdAsync<ActDetails>(app, "acts/", id, cancellationToken);

    /// <summary>What operators did in one service, newest first.</summary>
    public Task<Answer<ActPage>> ReadActsAsync(string app, string? cursor, CancellationToken cancellationToken) =>
        GetAsync<ActPage>(app, $"acts?limit={MostActs}{ServicesClient.From(cursor)}", cancellationToken);

    /// <summary>Null: it is given up, and that stays on record with the reason and who did it.</summary>
    public async Task<Failure?> DiscardAsync(string app, string id, string? reason, CancellationToken cancellationToken) =>
        (await services.SendAsync<Nothing>(
            HttpMethod.Post, app, $"dead-letters/{id}/discard", new { reason = string.IsNullOrWhiteSpace(reason) ? null : reason.Trim() }, cancellationToken)).Failure;

    /// <summary>An id that is none would be asked for as something else: a sidecar reads a part of an address otherwise.</summary>
    private Task<Answer<T>> GetByIdAsync<T>(string app, string within, string id, CancellationToken cancellationToken)
        where T : class => FieldErrors.IsId(id)
            ? GetAsync<T>(app, $"{within}{id}", cancellationToken)
            : Task.FromResult<Answer<T>>(new(null, new(app, HttpStatusCode.NotFound, $"“{id}” is no id.")));

    /// <summary>What a page's address names: the service, too, may be any word.</summary>
    private async Task<Answer<T>> GetAsync<T>(string app, string path, CancellationToken cancellationToken)
        where T : class => Apps.All.Contains(app)
            ? await services.GetAsync<T>(app, $"dead-letters/{path}", cancellationToken)
            : new(null, new(app, HttpStatusCode.NotFound, "There is no such service."));

    private static string FirstLine(string error)
    {
        var first = error.Split('\n', 2)[0].Trim();
        return first.Length <= LongestError ? first : $"{first[..LongestError]}…";
    }
}
