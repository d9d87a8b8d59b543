using System.Globalization;
using EmbeddedSidecar.Components.Redis;
using StackExchange.Redis;

namespace EmbeddedSidecar.Components.Locks.Redis;

internal enum UnlockResult
{
    Success,
    DoesNotExist,
    BelongsToOthers,
}

/// <summary>
/// lock.redis: a key that holds its owner and expires (components-contrib, lock/redis/standalone.go). There is no renewal and no fencing: an owner that
/// is slower than its expiry goes on without the lock. A server with replicas is refused, as by daprd: a lock could be lost when one takes over.
/// </summary>
internal sealed class RedisLockStore : IAsyncDisposable
{
    public const string KeyPrefix = "keyPrefix";

    private const string UnlockScript = """
        local owner = redis.call('GET', KEYS[1])
        if not owner then
          return 1
        end
        if owner ~= ARGV[1] then
          return 2
        end
        redis.call('DEL', KEYS[1])
        return 0
        """;

    private readonly ConnectionMultiplexer _connection;
    private readonly IDatabase _database;

    private RedisLockStore(ConnectionMultiplexer connection) => (_connection, _database) = (connection, connection.GetDatabase());

    public static ComponentType ComponentType { get; } = new("lock.redis", "v1", [.. RedisConnection.Fields, KeyPrefix], CreateAsync)
    {
        Absent = RedisConnection.Absent,
        ServerFields = RedisConnection.ServerFields,
    };

    /// <summary>False: somebody has it, and be it the same owner.</summary>
    /// <exception cref="RedisException">Whether it was taken is unknown.</exception>
    public Task<bool> TryLockAsync(string key, string owner, TimeSpan expiry, CancellationToken cancellationToken) =>
        _database.StringSetAsync(key, owner, expiry, When.NotExists).WaitAsync(cancellationToken);

    /// <exception cref="RedisException">Whether it was given back is unknown.</exception>
    public async Task<UnlockResult> UnlockAsync(string key, string owner, CancellationToken cancellationToken) =>
        (UnlockResult)(int)await _database.ScriptEvaluateAsync(UnlockScript, [key], [owner]).WaitAsync(cancellationToken);

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private static async Task<IAsyncDisposable> CreateAsync(ComponentMetadata metadata, ComponentContext context, CancellationToken cancellationToken)
    {
        var connection = await RedisConnection.OpenAsync(metadata);
        try
        {
            await RefuseReplicasAsync(connection.GetDatabase()).WaitAsync(cancellationToken);
            return new RedisLockStore(connection);
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }
    }

    private static async Task RefuseReplicasAsync(IDatabase database)
    {
        const string Field = "connected_slaves:";
        string replication;
        try
        {
            replication = (string?)await database.ExecuteAsync("INFO", "replication") ?? "";
        }
        catch (RedisServerException)
        {
            // A user who may not ask, or a server without the command: daprd takes it as well.
            return;
        }

        var line = replication.Split("\r\n").FirstOrDefault(line => line.StartsWith(Field, StringComparison.Ordinal));
        if (line is not null && int.Parse(line[Field.Length..], CultureInfo.InvariantCulture) > 0)
            throw new InvalidOperationException("the Redis server has replicas, with which a lock can be lost; use one without");
    }
}
