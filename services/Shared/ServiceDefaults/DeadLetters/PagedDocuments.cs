using DaprOrders.EventSourcing.Projections;

namespace DaprOrders.ServiceDefaults.DeadLetters;

/// <summary>A document that is listed on a page, and says on which.</summary>
internal interface IPaged
{
    /// <summary>Letters, digits and - only: it is a part of cursors.</summary>
    string Id { get; }

    long Page { get; }
}

/// <summary>A page of a list, oldest first; <c>Next</c> is the cursor of the following one.</summary>
internal sealed record DocumentList<T>(IReadOnlyList<T> Items, string? Next);

/// <summary>
/// Documents in the order in which they were added. One is listed before it is written and until after it is gone, and counts only where
/// it says itself that it is listed.
/// </summary>
internal sealed class PagedDocuments<T>(Documents documents, string list, Func<string, string> keyOf)
    where T : class, IPaged
{
    internal const int IdsInPage = 100;

    private readonly PagedLists _lists = new(documents, IdsInPage);

    public Task<T?> FindAsync(string id, CancellationToken cancellationToken) => documents.ReadAsync<T>(keyOf(id), cancellationToken);

    /// <summary>Adds a document, or changes the one that is there.</summary>
    /// <param name="make">From the present one, and from the page that lists it.</param>
    public async Task<T> PutAsync(string id, Func<T?, long, T> make, CancellationToken cancellationToken)
    {
        var known = await FindAsync(id, cancellationToken);
        var page = known?.Page ?? (await _lists.AddAsync([(list, new ListEntry(id))], cancellationToken))[0];
        return (await documents.ChangeAsync<T>(keyOf(id), current => make(current, current?.Page ?? page), cancellationToken))!;
    }

    /// <summary>Changes a document that is there; null when there is none.</summary>
    public Task<T?> ChangeAsync(string id, Func<T, T> change, CancellationToken cancellationToken) =>
        documents.ChangeAsync<T>(keyOf(id), current => current is null ? null : change(current), cancellationToken);

    public async Task RemoveAsync(T document, CancellationToken cancellationToken)
    {
        await documents.DeleteAsync(keyOf(document.Id), cancellationToken);
        await _lists.RemoveAsync(new ListPlace(list, document.Page), document.Id, cancellationToken);
    }

    /// <summary>From the cursor that the page before gave; null when the cursor is none of ours.</summary>
    public async Task<DocumentList<T>?> ReadAsync(string? cursor, int limit, CancellationToken cancellationToken)
    {
        if (!TryReadCursor(cursor, out var number, out var after))
            return null;

        var (first, last) = await _lists.ReadBoundsAsync(list, cancellationToken);
        var items = new List<T>();
        for (number = Math.Max(number, first); number <= last; number++, after = null)
        {
            // When the document of the cursor is gone, its page is shown again rather than a part of it left out.
            var ids = await IdsAsync(number, cancellationToken);
            foreach (var document in await ReadPageAsync(number, ids.Skip(after is null ? 0 : ids.IndexOf(after) + 1), cancellationToken))
            {
                if (items.Count == limit)
                    return new DocumentList<T>(items, $"{items[^1].Page}.{items[^1].Id}");
                items.Add(document);
            }
        }

        return new DocumentList<T>(items, null);
    }

    /// <summary>As above, newest first.</summary>
    public async Task<DocumentList<T>?> ReadNewestAsync(string? cursor, int limit, CancellationToken cancellationToken)
    {
        if (!TryReadCursor(cursor, out var number, out var after))
            return null;

        var (first, last) = await _lists.ReadBoundsAsync(list, cancellationToken);
        var items = new List<T>();
        for (number = cursor is null ? last : Math.Min(number, last); number >= first; number--, after = null)
        {
            var ids = await IdsAsync(number, cancellationToken);
            ids.Reverse();
            foreach (var document in await ReadPageAsync(number, ids.Skip(after is null ? 0 : ids.IndexOf(after) + 1), cancellationToken))
            {
                if (items.Count == limit)
                    return new DocumentList<T>(items, $"{items[^1].Page}.{items[^1].Id}");
                items.Add(document);
            }
        }

        return new DocumentList<T>(items, null);
    }

    /// <summary>Takes the oldest off a list that has more pages than these. Called for each that is added, it keeps the list that long.</summary>
    /// <returns>The id of what is gone; null: nothing.</returns>
    public async Task<string?> TakeOldestOffAsync(int mostPages, CancellationToken cancellationToken)
    {
        var (first, last) = await ReadBoundsAsync(cancellationToken);
        if (last - first < mostPages || await IdsAsync(first, cancellationToken) is not [var oldest, ..])
            return null;

        await documents.DeleteAsync(keyOf(oldest), cancellationToken);
        await _lists.RemoveAsync(new ListPlace(list, first), oldest, cancellationToken);
        return oldest;
    }

    /// <summary>The numbers of the first and the last page.</summary>
    public Task<(long First, long Last)> ReadBoundsAsync(CancellationToken cancellationToken) => _lists.ReadBoundsAsync(list, cancellationToken);

    /// <summary>What is listed on a page, in order.</summary>
    public async Task<IReadOnlyList<T>> ReadPageAsync(long page, CancellationToken cancellationToken) =>
        await ReadPageAsync(page, await IdsAsync(page, cancellationToken), cancellationToken);

    /// <summary>Those of the documents that are there; while none is listed, without asking for each.</summary>
    public async Task<IReadOnlyList<T>> FindAsync(IReadOnlySet<string> ids, CancellationToken cancellationToken)
    {
        var found = new List<T>();
        var (first, last) = await ReadBoundsAsync(cancellationToken);
        for (var page = first; page <= last; page++)
            found.AddRange(await ReadPageAsync(page, (await IdsAsync(page, cancellationToken)).Where(ids.Contains), cancellationToken));
        return found;
    }

    /// <summary>Those of the documents that are there, in this order.</summary>
    public async Task<IReadOnlyList<T>> FindAsync(IReadOnlyList<string> ids, CancellationToken cancellationToken)
    {
        var present = await documents.ReadAsync<T>([.. ids.Select(keyOf)], cancellationToken);
        return [.. ids.Select(id => present.GetValueOrDefault(keyOf(id))).OfType<T>()];
    }

    private async Task<List<string>> IdsAsync(long page, CancellationToken cancellationToken) =>
        [.. (await _lists.ReadPageAsync(list, page, cancellationToken)).Select(entry => entry.Id)];

    private async Task<IReadOnlyList<T>> ReadPageAsync(long page, IEnumerable<string> ids, CancellationToken cancellationToken)
    {
        var keys = ids.Select(keyOf).ToList();
        var present = await documents.ReadAsync<T>(keys, cancellationToken);
        return [.. keys.Where(present.ContainsKey).Select(key => present[key]).Where(document => document.Page == page)];
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
}
