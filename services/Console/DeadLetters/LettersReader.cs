using DaprOrders.Console.Calling;

namespace DaprOrders.Console.DeadLetters;

public sealed record RemovalOf(string App, Removal Removal);

/// <param name="IsAll">False: a service has more than were read.</param>
public sealed record LetterList(IReadOnlyList<LetterGroup> Groups, IReadOnlyList<RemovalOf> Removed, IReadOnlyList<Failure> Failures, bool IsAll)
{
    public int Count => Groups.Sum(group => group.Letters.Count);
}

/// <summary>The dead letters of all services, and what became of them.</summary>
public sealed class LettersReader(ServicesClient services)
{
    private const int Most = 500;
    private const int MostRemoved = 50;

    public async Task<LetterList> ReadAsync(CancellationToken cancellationToken)
    {
        var letters = await Task.WhenAll(Apps.All.Select(async app =>
            (app, Page: await services.GetAsync<DeadLetterPage>(app, $"dead-letters?limit={Most}", cancellationToken))));
        var removed = await Task.WhenAll(Apps.All.Select(async app =>
            (app, Page: await services.GetAsync<RemovalPage>(app, $"dead-letters/removed?limit={Most}", cancellationToken))));
        return new(
            LetterGroup.Of(letters.Where(of => of.Page.IsHere).SelectMany(of => of.Page.Value!.DeadLetters.Select(letter => (of.app, letter)))),
            [.. removed.Where(of => of.Page.IsHere).SelectMany(of => of.Page.Value!.Removed.Select(removal => new RemovalOf(of.app, removal)))
                .OrderByDescending(of => of.Removal.RemovedAt).Take(MostRemoved)],
            [.. letters.Select(of => of.Page.Failure).OfType<Failure>()],
            letters.All(of => of.Page.Value?.Cursor is null));
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
}
