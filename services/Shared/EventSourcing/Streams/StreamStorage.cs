using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Streams;

/// <summary>A tip as it was read, with its tag; the tag is null where the key does not exist.</summary>
internal sealed record TipAt(string Stream, Tip Tip, string? ETag);

/// <summary>Reads tips and pages.</summary>
internal sealed class StreamStorage(IStateApi state, CommandsAtWork atWork, EventStoreOptions options, TimeProvider time)
{
    private readonly GatheredReads _gathered = new(state, atWork, options.Chunks.GatheredKeys, options.CallTimeout, time);

    public static TipAt At(string stream, StateValue? value) =>
        value is null ? new TipAt(stream, Tip.Empty, null) : new TipAt(stream, Tip.Read(value.Value), value.ETag);

    public async Task<TipAt> ReadTipAsync(string stream, CancellationToken cancellationToken) =>
        At(stream, await _gathered.GetAsync(Tip.KeyOf(stream), cancellationToken));

    /// <summary>Tips in the order asked for.</summary>
    public async Task<IReadOnlyList<TipAt>> ReadTipsAsync(IReadOnlyList<string> streams, CancellationToken cancellationToken)
    {
        var read = await Task.WhenAll(streams.Chunk(options.Chunks.Tips).Select(async chunk =>
        {
            var values = await state.GetManyAsync([.. chunk.Select(Tip.KeyOf)], cancellationToken);
            return chunk.Zip(values, At);
        }));
        return [.. read.SelectMany(tips => tips)];
    }

    /// <summary>Events <paramref name="after"/>+1.. of a stream, at most <paramref name="limit"/>, wherever they are kept.</summary>
    public async Task<IReadOnlyList<StoredEvent>> ReadAsync(TipAt at, long after, int limit, CancellationToken cancellationToken)
    {
        var found = new List<StoredEvent>();
        if (after + 1 < at.Tip.FirstVersion)
        {
            var (number, first) = await FindPageAsync(at, after + 1, cancellationToken);
            found.AddRange(first.Events.Where(stored => stored.Version > after));
            while (number < at.Tip.Pages && found.Count < limit)
            {
                var wanted = 1 + ((limit - found.Count) / options.TipEvents);
                var count = Math.Min(Math.Min(wanted, options.Chunks.Pages), at.Tip.Pages - number);
                found.AddRange((await ReadPagesAsync(at.Stream, number + 1, count, cancellationToken)).SelectMany(page => page.Events));
                number += count;
            }
        }

        found.AddRange(at.Tip.Events.Where(stored => stored.Version > after));
        return found.Count > limit ? found.GetRange(0, limit) : found;
    }

    /// <summary>
    /// Writes the page that takes the tip's events. A page that already exists was left by an attempt that did not finish: since pages hold
    /// committed events from the tip's first one on, it is as good as ours, if shorter.
    /// </summary>
    public async Task<Page> CreatePageAsync(string stream, int number, IReadOnlyList<StoredEvent> events, CancellationToken cancellationToken)
    {
        var key = Page.KeyOf(stream, number);
        var page = new Page(events);
        try
        {
            if (await state.TrySaveAsync(new StateWrite(key, page.ToBytes(), null), cancellationToken))
            {
                return page;
            }
        }
        catch (EventStoreUnavailableException)
        {
            // Unknown, or a store that says "exists" in a word of its own: what is there now decides.
        }

        return await ReadPageAsync(key, cancellationToken)
            ?? throw new EventStoreUnavailableException($"The page {key} could not be written. Try again later.");
    }

    /// <summary>The events of a stream that have these names, in the tip or long ago; those that there are.</summary>
    public async Task<IReadOnlyDictionary<string, StoredEvent>> FindNamedAsync(
        TipAt at, IReadOnlyCollection<string> names, CancellationToken cancellationToken)
    {
        var wanted = names.ToHashSet();
        var found = at.Tip.Events.Where(stored => stored.Name is not null && wanted.Contains(stored.Name)).ToDictionary(stored => stored.Name!);
        string[] older = at.Tip.Pages == 0 ? [] : [.. wanted.Where(name => !found.ContainsKey(name))];
        foreach (var values in await Task.WhenAll(older.Chunk(options.Chunks.Names).Select(chunk => ReadNamedAsync(at.Stream, chunk, cancellationToken))))
        {
            foreach (var stored in values.OfType<StoredEvent>())
            {
                found.Add(stored.Name!, stored);
            }
        }

        return found;
    }

    /// <summary>
    /// Makes the named ones of events that leave the tip findable. They are committed and never change, so what an attempt that did not finish,
    /// or another instance, wrote of them is the same.
    /// </summary>
    public Task KeepNamedAsync(string stream, IReadOnlyList<StoredEvent> events, CancellationToken cancellationToken) => Task.WhenAll(
        events.Where(stored => stored.Name is not null).Chunk(options.Chunks.Names).Select(chunk => KeepAsync(stream, chunk, cancellationToken)));

    private async Task KeepAsync(string stream, StoredEvent[] named, CancellationToken cancellationToken)
    {
        try
        {
            await SaveNamedAsync(stream, named, cancellationToken);
        }
        catch (EventStoreUnavailableException)
        {
            // Unknown, or some of them exist: what is there now decides.
            var there = await ReadNamedAsync(stream, [.. named.Select(stored => stored.Name!)], cancellationToken);
            StoredEvent[] missing = [.. named.Where((_, i) => there[i] is null)];
            if (missing.Length > 0)
            {
                await SaveNamedAsync(stream, missing, cancellationToken);
            }
        }
    }

    private Task SaveNamedAsync(string stream, StoredEvent[] named, CancellationToken cancellationToken) => state.SaveManyAsync(
        [.. named.Select(stored => new StateWrite(StoredEvent.KeyOf(stream, stored.Name!), stored.ToBytes(), null))], cancellationToken);

    private async Task<StoredEvent?[]> ReadNamedAsync(string stream, IReadOnlyList<string> names, CancellationToken cancellationToken)
    {
        string[] keys = [.. names.Select(name => StoredEvent.KeyOf(stream, name))];
        var values = keys.Length <= options.Chunks.GatheredKeys
            ? await _gathered.GetManyAsync(keys, cancellationToken)
            : await state.GetManyAsync(keys, cancellationToken);
        return [.. values.Select(value => value is null ? null : StoredEvent.Read(value.Value))];
    }

    private async Task<Page?> ReadPageAsync(string key, CancellationToken cancellationToken) =>
        await state.GetAsync(key, cancellationToken) is { } value ? Page.Read(value.Value) : null;

    private async Task<IReadOnlyList<Page>> ReadPagesAsync(string stream, int first, int count, CancellationToken cancellationToken)
    {
        var keys = Enumerable.Range(first, count).Select(number => Page.KeyOf(stream, number)).ToArray();
        var values = await state.GetManyAsync(keys, cancellationToken);
        return [.. values.Select((value, i) => value is null
            ? throw new InvalidOperationException($"The page {keys[i]} is missing: the store has lost it.")
            : Page.Read(value.Value))];
    }

    // Pages hold different numbers of events, but not very different ones: the page of a version is guessed from what is known of its
    // neighbours, which takes a read or two, however long the stream.
    private async Task<(int Number, Page Page)> FindPageAsync(TipAt at, long version, CancellationToken cancellationToken)
    {
        var (low, high) = (1, at.Tip.Pages);
        var (from, to) = (1L, at.Tip.FirstVersion - 1);
        while (true)
        {
            var number = low + (int)((version - from) * (high - low + 1) / (to - from + 1));
            var page = (await ReadPagesAsync(at.Stream, number, 1, cancellationToken))[0];
            if (version < page.Events[0].Version)
            {
                (high, to) = (number - 1, page.Events[0].Version - 1);
            }
            else if (version > page.Events[^1].Version)
            {
                (low, from) = (number + 1, page.Events[^1].Version + 1);
            }
            else
            {
                return (number, page);
            }
        }
    }
}
