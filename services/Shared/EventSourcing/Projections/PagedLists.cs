namespace DaprOrders.EventSourcing.Projections;

/// <summary>An entry of a list. <c>Label</c> is what it can be filtered by; the one with the higher version wins.</summary>
public sealed record ListEntry(string Id, string? Label = null, long Version = 0);

public sealed record ListPage(IReadOnlyList<ListEntry> Entries)
{
    public bool Has(string id) => Entries.Any(entry => entry.Id == id);
}

/// <summary>Where an entry is listed.</summary>
public readonly record struct ListPlace(string List, long Page);

/// <summary>
/// Lists of ids on pages of bounded size, since Dapr state cannot be listed. The newest entries are on the last page.
/// Whoever lists something notes the page with it, in a later write: when that one is lost, the entry may be made again on a later page,
/// and only the noted page counts.
/// </summary>
public sealed class PagedLists(Documents documents, int entriesInPage)
{
    /// <summary>The first and the last page of a list.</summary>
    public async Task<(long First, long Last)> ReadBoundsAsync(string list, CancellationToken cancellationToken) =>
        await documents.ReadAsync<Head>(list, cancellationToken) is { } head ? (head.First, head.Last) : (0, 0);

    public async Task<IReadOnlyList<ListEntry>> ReadPageAsync(string list, long page, CancellationToken cancellationToken) =>
        (await documents.ReadAsync<ListPage>(PageKey(list, page), cancellationToken))?.Entries ?? [];

    /// <summary>Adds entries to the ends of their lists, each at most once to a page; the page of each, in their order.</summary>
    public async Task<IReadOnlyList<long>> AddAsync(IReadOnlyList<(string List, ListEntry Entry)> entries, CancellationToken cancellationToken)
    {
        var heads = await documents.ReadAsync<Head>([.. entries.Select(entry => entry.List).Distinct()], cancellationToken);
        var last = entries.Select(entry => entry.List).Distinct().ToDictionary(list => list, list => heads.TryGetValue(list, out var head) ? head.Last : 0);
        var places = new long[entries.Count];
        var open = Enumerable.Range(0, entries.Count).ToList();
        while (open.Count > 0)
        {
            var additions = open.GroupBy(i => entries[i].List).ToDictionary(list => PageKey(list.Key, last[list.Key]), list => list.ToList());
            var pages = await documents.ChangeAsync<ListPage>(
                additions.Keys,
                (key, page) => With(page, additions[key].Select(i => entries[i].Entry)),
                cancellationToken);
            var overflow = new List<int>();
            foreach (var (key, added) in additions)
            {
                var present = pages[key].Entries.Select(entry => entry.Id).ToHashSet();
                foreach (var i in added)
                {
                    places[i] = last[entries[i].List];
                    if (!present.Contains(entries[i].Entry.Id))
                        overflow.Add(i);
                }
            }

            open = overflow;
            var full = open.Select(i => entries[i].List).Distinct().ToList();
            await documents.ChangeAsync<Head>(
                full,
                (list, head) => head is not null && head.Last > last[list] ? head : new Head(head?.First ?? 0, last[list] + 1),
                cancellationToken);
            foreach (var list in full)
                last[list]++;
        }

        return places;
    }

    /// <summary>Gives entries their present labels.</summary>
    public Task RelabelAsync(IReadOnlyList<(ListPlace Place, ListEntry Entry)> entries, CancellationToken cancellationToken)
    {
        var changes = entries
            .GroupBy(entry => entry.Place)
            .ToDictionary(place => PageKey(place.Key.List, place.Key.Page), place => place.ToDictionary(entry => entry.Entry.Id, entry => entry.Entry));
        return documents.ChangeAsync<ListPage>(
            changes.Keys,
            (key, page) => page is not null && page.Entries.Any(entry => IsNewer(changes[key], entry))
                ? new ListPage([.. page.Entries.Select(entry => IsNewer(changes[key], entry) ? changes[key][entry.Id] : entry)])
                : page,
            cancellationToken);
    }

    /// <summary>Takes an entry from its page; pages that are empty are no longer read from the front.</summary>
    public async Task RemoveAsync(ListPlace place, string id, CancellationToken cancellationToken)
    {
        var page = await documents.ChangeAsync<ListPage>(
            PageKey(place.List, place.Page),
            current => current is not null && current.Has(id) ? new ListPage([.. current.Entries.Where(entry => entry.Id != id)]) : current,
            cancellationToken);
        if (page is { Entries.Count: 0 })
        {
            await documents.ChangeAsync<Head>(
                place.List,
                head => head is not null && head.First == place.Page && head.First < head.Last ? head with { First = head.First + 1 } : head,
                cancellationToken);
        }
    }

    /// <summary>Removes whole lists, with all their pages.</summary>
    public async Task DeleteAsync(IReadOnlyCollection<string> lists, CancellationToken cancellationToken)
    {
        var heads = await documents.ReadAsync<Head>(lists, cancellationToken);
        await documents.DeleteAsync(
            [.. lists.SelectMany(list => Pages(heads.GetValueOrDefault(list)).Select(page => PageKey(list, page)))], cancellationToken);
        await documents.DeleteAsync([.. heads.Keys], cancellationToken);
    }

    private static IEnumerable<long> Pages(Head? head) => Enumerable.Range(0, (int)(head?.Last ?? 0) + 1).Select(page => (long)page);

    private ListPage With(ListPage? page, IEnumerable<ListEntry> added)
    {
        var entries = (page?.Entries ?? []).ToList();
        var isChanged = page is null;
        foreach (var entry in added)
        {
            var at = entries.FindIndex(present => present.Id == entry.Id);
            if (at < 0 && entries.Count < entriesInPage)
                entries.Add(entry);
            else if (at >= 0 && entry.Version > entries[at].Version)
                entries[at] = entry;
            else
                continue;
            isChanged = true;
        }

        return isChanged ? new ListPage(entries) : page!;
    }

    private static bool IsNewer(Dictionary<string, ListEntry> changes, ListEntry entry) =>
        changes.TryGetValue(entry.Id, out var change) && change.Version > entry.Version;

    private static string PageKey(string list, long page) => $"{list}|{page}";

    private sealed record Head(long First, long Last);
}
