using System.Text.Json;
using EmbeddedSidecar.Components.State;

namespace EmbeddedSidecar.Actors;

/// <summary>
/// Keeps the reminders of one application in the actor state store: a document per reminder, and 256 index documents that list the keys
/// (state stores cannot list). So a tick is one small write, and a new reminder two, in one transaction. Where a transaction can
/// stop half way (redis), an index entry without its document remains, never a document without its entry. The process owns these
/// documents: no other may write them.
/// </summary>
internal sealed class ReminderStore
{
    private const int Shards = 256;
    private const int LoadBatch = 500;

    private readonly IStateStore _store;
    private readonly string _prefix;
    private readonly Shard[] _shards;

    public IStateStore Store => _store;

    public ReminderStore(IStateStore store, string appId)
    {
        _store = store;
        _prefix = $"dapr.internal.reminders||{appId}||";
        _shards = [.. Enumerable.Range(0, Shards).Select(n => new Shard($"{_prefix}index||{n}"))];
    }

    private sealed record Shard(string IndexKey)
    {
        public SemaphoreSlim Gate { get; } = new(1);

        public HashSet<string> Keys { get; set; } = [];
    }

    public async Task<IReadOnlyList<Reminder>> LoadAsync(CancellationToken cancellationToken)
    {
        var indexes = await _store.GetManyAsync([.. _shards.Select(shard => shard.IndexKey)], cancellationToken);
        foreach (var (shard, entry) in _shards.Zip(indexes))
        {
            if (entry is not null)
                shard.Keys = JsonSerializer.Deserialize(entry.Value.Span, ReminderJson.Default.HashSetString)!;
        }

        var reminders = new List<Reminder>();
        foreach (var keys in _shards.SelectMany(shard => shard.Keys).Chunk(LoadBatch))
        {
            var entries = await _store.GetManyAsync(keys, cancellationToken);
            reminders.AddRange(entries.Where(entry => entry is not null)
                .Select(entry => JsonSerializer.Deserialize(entry!.Value.Span, ReminderJson.Default.Reminder)!));
        }
        return reminders;
    }

    public async Task SaveAsync(Reminder reminder, CancellationToken cancellationToken)
    {
        var key = Key(reminder.Key);
        var document = new StateUpsert(
            key, JsonSerializer.SerializeToUtf8Bytes(reminder, ReminderJson.Default.Reminder), ETag: null, FirstWrite: false, TtlSeconds: null);
        var shard = ShardOf(key);
        await shard.Gate.WaitAsync(cancellationToken);
        try
        {
            if (shard.Keys.Contains(key))
            {
                if ((await _store.WriteAsync([document], cancellationToken))[0] is { } failure)
                    throw failure;
                return;
            }
            await _store.TransactAsync([Index(shard, [.. shard.Keys, key]), document], cancellationToken);
            shard.Keys.Add(key);
        }
        finally
        {
            shard.Gate.Release();
        }
    }

    public async Task RemoveAsync(ReminderKey reminder, CancellationToken cancellationToken)
    {
        var key = Key(reminder);
        var shard = ShardOf(key);
        await shard.Gate.WaitAsync(cancellationToken);
        try
        {
            if (!shard.Keys.Contains(key))
                return;
            await _store.TransactAsync(
                [new StateDelete(key, ETag: null, FirstWrite: false), Index(shard, [.. shard.Keys.Where(other => other != key)])], cancellationToken);
            shard.Keys.Remove(key);
        }
        finally
        {
            shard.Gate.Release();
        }
    }

    private static StateUpsert Index(Shard shard, HashSet<string> keys) => new(
        shard.IndexKey, JsonSerializer.SerializeToUtf8Bytes(keys, ReminderJson.Default.HashSetString), ETag: null, FirstWrite: false, TtlSeconds: null);

    /// <summary>Ids and names may hold the separator.</summary>
    private string Key(ReminderKey reminder) =>
        $"{_prefix}{Uri.EscapeDataString(reminder.Actor.Type)}||{Uri.EscapeDataString(reminder.Actor.Id)}||{Uri.EscapeDataString(reminder.Name)}";

    private Shard ShardOf(string key)
    {
        var hash = 2166136261u;
        foreach (var c in key)
            hash = (hash ^ c) * 16777619u;
        return _shards[hash % Shards];
    }
}
