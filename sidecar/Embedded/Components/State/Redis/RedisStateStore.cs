using System.Globalization;
using EmbeddedSidecar.Components.Redis;
using StackExchange.Redis;

namespace EmbeddedSidecar.Components.State.Redis;

/// <summary>
/// state.redis. A single write is one script, hence atomic. So is a transaction, which to others looks like daprd's MULTI/EXEC of such scripts and has
/// <b>no rollback</b>: what one operation is refused, the others have written. Nor does it mark keys as written by first-write, as a single write does: a key that it created
/// is overwritten by the next write without a tag, first-write or not (components-contrib, state/redis/redis.go, Multi).
/// </summary>
internal sealed class RedisStateStore : IStateStore
{
    private const string DefaultTtl = "ttlInSeconds";
    private const string NoTag = "0";
    private const string AfterPrevious = "after";

    private static readonly RedisValue[] Fields = ["data", "version"];

    private readonly ConnectionMultiplexer _connection;
    private readonly IDatabase _database;
    private readonly int? _ttlSeconds;

    private RedisStateStore(ConnectionMultiplexer connection, int? ttlSeconds)
    {
        _connection = connection;
        _database = connection.GetDatabase();
        _ttlSeconds = ttlSeconds;
    }

    public static ComponentType ComponentType { get; } = new(
        "state.redis", "v1", [.. RedisConnection.Fields, DefaultTtl, "queryIndexes", .. StateStoreFields.Common], CreateAsync)
    {
        Absent = RedisConnection.Absent,
        ServerFields = RedisConnection.ServerFields,
    };

    public IReadOnlyList<string> Capabilities { get; } = ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"];

    public bool RefusesUnknownOptions(bool ofDelete, bool inTransaction) => !inTransaction;

    public int ReadTtl(string text) => StateTtl.ReadLoosely(text, "failed to parse ttl from metadata: strconv.ParseInt: ");

    public async Task<StateEntry?> GetAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            return Entry(await _database.HashGetAsync(key, Fields).WaitAsync(cancellationToken));
        }
        catch (RedisServerException e) when (e.Message.StartsWith("WRONGTYPE", StringComparison.Ordinal))
        {
            return await GetPlainAsync(key, cancellationToken);
        }
        catch (Exception e) when (IsOfRedis(e))
        {
            throw new StateStoreException(StateFailure.Other, e.Message, e);
        }
    }

    public async Task<IReadOnlyList<StateEntry?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        await Task.WhenAll(keys.Select(key => GetAsync(key, cancellationToken)));

    public async Task<IReadOnlyList<StateStoreException?>> WriteAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        if (writes.Count == 1)
            return [await WriteAsync(writes[0], cancellationToken)];

        // All are on their way before the first is awaited.
        return await Task.WhenAll(writes.Select(write => WriteAsync(write, cancellationToken)));
    }

    public async Task TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        var keys = new RedisKey[writes.Count];
        var values = new RedisValue[writes.Count * 3];
        for (var i = 0; i < keys.Length; i++)
        {
            if (MalformedTag(writes[i]) is { } malformed)
                throw malformed;
            keys[i] = writes[i].Key;
            values[i * 3] = writes[i] is StateUpsert { OnlyAfterPrevious: true } ? AfterPrevious : Tag(writes[i]);
            values[(i * 3) + 1] = writes[i] is StateUpsert written ? Data(written) : RedisValue.EmptyString;
            values[(i * 3) + 2] = writes[i] is StateUpsert upsert ? Ttl(upsert) : "delete";
        }

        try
        {
            await _database.ScriptEvaluateAsync(RedisScripts.Transact, keys, values).WaitAsync(cancellationToken);
        }
        catch (Exception e) when (IsOfRedis(e))
        {
            throw new StateStoreException(StateFailure.Other, e.Message, e);
        }
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private static async Task<IAsyncDisposable> CreateAsync(ComponentMetadata metadata, ComponentContext context, CancellationToken cancellationToken)
    {
        if (metadata.Text("queryIndexes") is { Length: > 0 })
            throw metadata.Invalid("queryIndexes", "left out (this sidecar has no query API)");
        int? ttlSeconds = metadata.Text(DefaultTtl) is { Length: > 0 } ? metadata.Number(DefaultTtl, 0) : null;
        return new RedisStateStore(await RedisConnection.OpenAsync(metadata), ttlSeconds);
    }

    private static StateEntry? Entry(RedisValue[] fields) =>
        fields[0].IsNull ? null : new StateEntry((byte[])fields[0]!, fields[1].ToString(), ExpiresAt: null);

    /// <summary>A text that somebody else has set.</summary>
    private async Task<StateEntry?> GetPlainAsync(string key, CancellationToken cancellationToken)
    {
        try
        {
            var value = await _database.StringGetAsync(key).WaitAsync(cancellationToken);
            return value.IsNull ? null : new StateEntry((byte[])value!, ETag: "", ExpiresAt: null);
        }
        catch (Exception e) when (IsOfRedis(e))
        {
            throw new StateStoreException(StateFailure.Other, e.Message, e);
        }
    }

    private async Task<StateStoreException?> WriteAsync(StateWrite write, CancellationToken cancellationToken)
    {
        if (MalformedTag(write) is { } malformed)
            return malformed;
        try
        {
            await EvaluateAsync(write).WaitAsync(cancellationToken);
            return null;
        }
        catch (RedisServerException e) when (write.ETag is { Length: > 0 })
        {
            return StateStoreException.Mismatch(e.Message);
        }
        catch (Exception e) when (IsOfRedis(e))
        {
            return new StateStoreException(StateFailure.Other, write is StateUpsert ? $"failed to set key {write.Key}: {e.Message}" : e.Message, e);
        }
    }

    private Task<RedisResult> EvaluateAsync(StateWrite write) => write is StateUpsert upsert
        ? _database.ScriptEvaluateAsync(RedisScripts.Set, [upsert.Key], [Tag(upsert), Data(upsert), upsert.FirstWrite ? "1" : "0", Ttl(upsert)])
        : _database.ScriptEvaluateAsync(RedisScripts.Delete, [write.Key], [Tag(write)]);

    private static RedisValue Tag(StateWrite write) => write is { ETag: { Length: > 0 } etag } and not StateUpsert { LastWrite: true } ? etag : NoTag;

    private static RedisValue Data(StateUpsert upsert) => upsert.Value.IsEmpty ? RedisValue.EmptyString : upsert.Value;

    private RedisValue Ttl(StateUpsert upsert) => (upsert.TtlSeconds ?? _ttlSeconds)?.ToString(CultureInfo.InvariantCulture) ?? "";

    /// <summary>A delete compares the tag as it is.</summary>
    private static StateStoreException? MalformedTag(StateWrite write) =>
        write is StateUpsert { ETag: { Length: > 0 } etag, LastWrite: false } && !long.TryParse(etag, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _)
            ? new StateStoreException(StateFailure.ETagInvalid, $"invalid etag value: strconv.Atoi: parsing \"{etag}\": invalid syntax")
            : null;

    private static bool IsOfRedis(Exception e) => e is RedisException or RedisTimeoutException or ObjectDisposedException;
}
