using System.Collections.Concurrent;
using DaprOrders.Console.Calling;

namespace DaprOrders.Console.DeadLetters;

public sealed record RemovalOf(string App, Removal Removal);

/// <param name="IsAll">False: there are more than were read.</param>
public sealed record LettersOfApp(IReadOnlyList<DeadLetter> Letters, bool IsAll);

/// <param name="IsAll">False: a service has more than were read.</param>
public sealed record LetterList(IReadOnlyList<LetterGroup> Groups, IReadOnlyList<RemovalOf> Removed, IReadOnlyList<Failure> Failures, bool IsAll)
{
    private const int MostGroups = 50;

    public int Count => Groups.Sum(group => group.Count);

    /// <summary>What a page brings along, and its circuit can take: the messages themselves are read there.</summary>
    public LetterList WithoutLetters() => this with { Groups = [.. Groups.Take(MostGroups).Select(group => group with { Letters = [] })] };
}

/// <summary>The dead letters of all services, and what became of them.</summary>
public sealed class LettersReader(ServicesClient services)
{
    private const int PerPage = 500;
    private const int MostPages = 4;
    private const int MostPagesOfRemoved = 20;
    private const int MostRemoved = 50;
    private const int LongestError = 300;

    private readonly ConcurrentDictionary<string, NewestRemoved> _removed = [];

    public async Task<LetterList> ReadAsync(CancellationToken cancellationToken)
    {
        var reading = Task.WhenAll(Apps.All.Select(async app => (app, Read: await ReadOfAsync(app, cancellationToken))));
        var removed = await Task.WhenAll(Apps.All.Select(async app => (app, Read: await ReadRemovedAsync(app, cancellationToken))));
        var letters = await reading;
        return new(
            LetterGroup.Of(letters.Where(of => of.Read.IsHere).SelectMany(of => of.Read.Value!.Letters.Select(letter => (of.app, letter)))),
            [.. removed.SelectMany(of => of.Read.Removed.Select(removal => new RemovalOf(of.app, removal))).OrderByDescending(of => of.Removal.RemovedAt).Take(MostRemoved)],
            [.. letters.Select(of => of.Read.Failure).Concat(removed.Select(of => of.Read.Failure)).OfType<Failure>().DistinctBy(failure => failure.ToString())],
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
    public Task<Answer<DeadLetterDetails>> ReadMessageAsync(string app, string id, CancellationToken cancellationToken) =>
        services.GetAsync<DeadLetterDetails>(app, $"dead-letters/{id}", cancellationToken);

    /// <summary>Null: it was handled.</summary>
    public async Task<Failure?> RedriveAsync(string app, string id, CancellationToken cancellationToken) =>
        (await services.SendAsync<Nothing>(HttpMethod.Post, app, $"dead-letters/{id}/redrive", null, cancellationToken)).Failure;

    /// <summary>Null: it is given up, and that stays on record with the reason and who did it.</summary>
    public async Task<Failure?> DiscardAsync(string app, string id, string? reason, CancellationToken cancellationToken) =>
        (await services.SendAsync<Nothing>(
            HttpMethod.Delete, app, $"dead-letters/{id}{(string.IsNullOrWhiteSpace(reason) ? "" : $"?reason={Uri.EscapeDataString(reason.Trim())}")}", null, cancellationToken)).Failure;

    /// <summary>The record is told oldest first and only grows: what was read to its end is not read again.</summary>
    private async Task<(IReadOnlyList<Removal> Removed, Failure? Failure)> ReadRemovedAsync(string app, CancellationToken cancellationToken)
    {
        var known = _removed.GetValueOrDefault(app, new(null, []));
        IReadOnlyList<Removal> newest = known.BeforeIt;
        for (var page = 0; page < MostPagesOfRemoved; page++)
        {
            var read = await services.GetAsync<RemovalPage>(app, $"dead-letters/removed?limit={PerPage}{ServicesClient.From(known.Cursor)}", cancellationToken);
            if (!read.IsHere)
                return (newest, read.Failure);
            newest = [.. known.BeforeIt.Concat(read.Value.Removed).TakeLast(MostRemoved)];
            if (read.Value.Cursor is not { } next)
                break;
            _removed[app] = known = new(next, newest);
        }

        return (newest, null);
    }

    private static string FirstLine(string error)
    {
        var first = error.Split('\n', 2)[0].Trim();
        return first.Length <= LongestError ? first : $"{first[..LongestError]}…";
    }

    /// <param name="Cursor">Of the last page that was begun.</param>
    /// <param name="BeforeIt">The newest of the pages before it.</param>
    private sealed record NewestRemoved(string? Cursor, IReadOnlyList<Removal> BeforeIt);
}
