using System.Text.Json;
using Dapr;
using Dapr.Client;
using DaprOrders.EventSourcing.State;

namespace DaprOrders.EventSourcing.Projections;

/// <summary>
/// JSON documents of one service in a Dapr state store, changed under their ETags: created by first-write, changed with the ETag that
/// was read. A write whose outcome is unclear is settled by reading again, so every change must be one that may be applied twice
/// (by version, by position, as a set).
/// </summary>
public sealed class Documents(DaprClient dapr, IBulkStateReads bulk, string stateStore)
{
    /// <summary>How often a change is tried against writers that are faster, before it fails.</summary>
    private const int MostAttempts = 20;

    /// <summary>Documents in one call.</summary>
    private const int MostInCall = 128;

    /// <summary>Bytes of the documents that are written in one call, unless one has more by itself: a sidecar takes messages of 4 MiB.</summary>
    private const int MostBytesInCall = 2 * 1024 * 1024;

    /// <summary>How many reads of one bulk call a sidecar whose store has no bulk read may do at once.</summary>
    private const int Parallelism = 16;

    private static readonly StateOptions Change = new() { Consistency = ConsistencyMode.Strong };
    private static readonly StateOptions Creation = new() { Concurrency = ConcurrencyMode.FirstWrite, Consistency = ConsistencyMode.Strong };

    /// <summary>After this, a call that was never answered has failed, like any other whose outcome is unclear.</summary>
    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(10);

    internal TimeProvider Time { get; init; } = TimeProvider.System;

    internal Random Jitter { get; init; } = Random.Shared;

    public async Task<T?> ReadAsync<T>(string key, CancellationToken cancellationToken)
        where T : class => (await LoadAsync<T>(key, cancellationToken)).Value;

    /// <summary>The documents that exist, by key.</summary>
    public async Task<IReadOnlyDictionary<string, T>> ReadAsync<T>(IReadOnlyCollection<string> keys, CancellationToken cancellationToken)
        where T : class
    {
        var loaded = await LoadAsync<T>(keys, cancellationToken);
        return loaded.Where(document => document.Value.Value is not null).ToDictionary(document => document.Key, document => document.Value.Value!);
    }

    /// <summary>Changes one document; returns it as it then is.</summary>
    /// <param name="change">Gets null when there is none; returning what it got writes nothing. May be called several times.</param>
    /// <exception cref="DaprException">The store cannot be reached, or others kept changing the document.</exception>
    public async Task<T?> ChangeAsync<T>(string key, Func<T?, T?> change, CancellationToken cancellationToken)
        where T : class
    {
        var changed = await ChangeAsync<T>([key], (_, current) => change(current), cancellationToken);
        return changed.GetValueOrDefault(key);
    }

    /// <summary>Documents to be looked at before they are changed, without being read once more.</summary>
    public async Task<ReadDocuments<T>> ReadToChangeAsync<T>(IReadOnlyCollection<string> keys, CancellationToken cancellationToken)
        where T : class => new(await LoadAsync<T>(keys, cancellationToken));

    /// <summary>Changes many documents, each by itself: read in one call, written in one call, those that others changed meanwhile once more.</summary>
    /// <returns>Every document that exists then, by key.</returns>
    public async Task<IReadOnlyDictionary<string, T>> ChangeAsync<T>(
        IReadOnlyCollection<string> keys, Func<string, T?, T?> change, CancellationToken cancellationToken)
        where T : class => await ChangeAsync(await ReadToChangeAsync<T>(keys, cancellationToken), change, cancellationToken);

    /// <summary>The same with documents that are read already.</summary>
    public async Task<IReadOnlyDictionary<string, T>> ChangeAsync<T>(ReadDocuments<T> read, Func<string, T?, T?> change, CancellationToken cancellationToken)
        where T : class
    {
        var settled = new Dictionary<string, T>(read.ByKey.Count);
        var loaded = read.ByKey;
        for (var attempt = 1; loaded.Count > 0; attempt++)
        {
            var writes = new List<(string Key, T Value, string ETag)>();
            foreach (var (key, (current, etag)) in loaded)
            {
                var next = change(key, current);
                if (next is not null && !ReferenceEquals(next, current))
                    writes.Add((key, next, etag));
                else if (next is not null)
                    settled[key] = next;
            }

            if (await TryWriteAsync(writes, attempt, cancellationToken))
            {
                foreach (var (key, value, _) in writes)
                    settled[key] = value;
                break;
            }

            await BackOffAsync(attempt, cancellationToken);
            loaded = await LoadAsync<T>([.. writes.Select(write => write.Key)], cancellationToken);
        }

        return settled;
    }

    /// <summary>Removes a document, whatever it holds.</summary>
    public Task DeleteAsync(string key, CancellationToken cancellationToken) =>
        CallAsync(token => dapr.DeleteStateAsync(stateStore, key, cancellationToken: token), cancellationToken);

    /// <summary>Removes documents, whatever they hold. Not for documents that somebody may still change under their ETags.</summary>
    public Task DeleteAsync(IReadOnlyCollection<string> keys, CancellationToken cancellationToken) =>
        Task.WhenAll(keys.Chunk(MostInCall).Select(chunk => CallAsync(
            token => dapr.DeleteBulkStateAsync(stateStore, [.. chunk.Select(key => new BulkDeleteStateItem(key, ""))], token), cancellationToken)));

    /// <summary>Writes a document that guards nothing, over whatever was there; it vanishes after <paramref name="timeToLive"/>.</summary>
    public Task OverwriteAsync<T>(string key, T value, TimeSpan timeToLive, CancellationToken cancellationToken)
        where T : class => CallAsync(
            token => dapr.SaveStateAsync(
                stateStore,
                key,
                value,
                metadata: new Dictionary<string, string> { ["ttlInSeconds"] = ((long)timeToLive.TotalSeconds).ToString() },
                cancellationToken: token),
            cancellationToken);

    private async Task<bool> TryWriteAsync<T>(List<(string Key, T Value, string ETag)> writes, int attempt, CancellationToken cancellationToken)
    {
        if (writes.Count == 0)
            return true;

        // Stores tell a lost race in different ways (Aborted, Internal, a lost connection), and a bulk save may be half done: reading
        // again is the only answer that is right for all of them. (An OK is right only where no retry policy is set on the store: docs/stores.md.)
        try
        {
            await Task.WhenAll(CallsOf(writes).Select(
                call => CallAsync(token => dapr.SaveBulkStateAsync(stateStore, call, token), cancellationToken)));
            return true;
        }
        catch (DaprException) when (attempt < MostAttempts)
        {
            return false;
        }
    }

    private List<List<SaveStateItem<RawJson>>> CallsOf<T>(List<(string Key, T Value, string ETag)> writes)
    {
        var calls = new List<List<SaveStateItem<RawJson>>>();
        var bytes = 0;
        foreach (var (key, value, etag) in writes)
        {
            var json = JsonSerializer.SerializeToUtf8Bytes(value, dapr.JsonSerializerOptions);
            if (calls.Count == 0 || calls[^1].Count == MostInCall || bytes + json.Length > MostBytesInCall)
            {
                calls.Add([]);
                bytes = 0;
            }

            calls[^1].Add(new SaveStateItem<RawJson>(key, new RawJson(json), etag, etag.Length > 0 ? Change : Creation));
            bytes += json.Length;
        }

        return calls;
    }

    private async Task CallAsync(Func<CancellationToken, Task> call, CancellationToken cancellationToken) => await CallAsync(
        async token =>
        {
            await call(token);
            return true;
        },
        cancellationToken);

    private Task<T> CallAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken) => TimeLimit.WithinAsync(
        call,
        CallTimeout,
        Time,
        exception => new DaprException($"The state store {stateStore} did not answer within {CallTimeout.TotalSeconds} s. Try again later.", exception),
        cancellationToken);

    private Task BackOffAsync(int attempt, CancellationToken cancellationToken) =>
        Task.Delay(TimeSpan.FromMilliseconds(Jitter.Next(1, 1 << Math.Min(attempt + 1, 9))), Time, cancellationToken);

    private async Task<(T? Value, string ETag)> LoadAsync<T>(string key, CancellationToken cancellationToken)
        where T : class
    {
        var (value, etag) = await CallAsync(
            token => dapr.GetStateAndETagAsync<T?>(stateStore, key, ConsistencyMode.Strong, cancellationToken: token), cancellationToken);
        return (value, etag ?? "");
    }

    private async Task<IReadOnlyDictionary<string, (T? Value, string ETag)>> LoadAsync<T>(IReadOnlyCollection<string> keys, CancellationToken cancellationToken)
        where T : class
    {
        if (keys.Count == 0)
            return new Dictionary<string, (T?, string)>();
        if (keys.Count == 1)
            return new Dictionary<string, (T?, string)> { [keys.Single()] = await LoadAsync<T>(keys.Single(), cancellationToken) };

        string[] distinct = [.. keys.Distinct()];
        var chunks = await Task.WhenAll(distinct.Chunk(MostInCall).Select(
            chunk => CallAsync(token => bulk.ReadAsync(stateStore, chunk, Parallelism, token), cancellationToken)));
        var found = chunks.SelectMany(chunk => chunk).ToDictionary();
        return distinct.ToDictionary(key => key, key => found.TryGetValue(key, out var stored)
            ? (Value: JsonSerializer.Deserialize<T>(stored.Value.Span, dapr.JsonSerializerOptions), stored.ETag)
            : (null, ""));
    }
}

/// <summary>Documents as they were when they were read.</summary>
public sealed class ReadDocuments<T>
    where T : class
{
    internal ReadDocuments(IReadOnlyDictionary<string, (T? Value, string ETag)> byKey) => ByKey = byKey;

    internal IReadOnlyDictionary<string, (T? Value, string ETag)> ByKey { get; }

    /// <summary>Null where there is none.</summary>
    public T? this[string key] => ByKey[key].Value;
}
