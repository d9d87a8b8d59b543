using System.Globalization;
using EmbeddedSidecar.Components.Redis;
using EmbeddedSidecar.Formats;
using StackExchange.Redis;

namespace EmbeddedSidecar.Components.Bindings.Redis;

/// <summary>
/// bindings.redis: sets, reads, removes and counts up the value of one key, which the metadata field <c>key</c> names (components-contrib, bindings/redis/redis.go).
/// </summary>
internal sealed class RedisBinding : IOutputBinding
{
    /// <summary>Of Go's durations.</summary>
    private const long MostSeconds = long.MaxValue / 1_000_000_000;

    /// <summary>The first one that is there counts, whatever its case.</summary>
    private static readonly string[] TtlFields = ["ttl", "ttlInSeconds"];

    private readonly ConnectionMultiplexer _connection;
    private readonly IDatabase _database;

    private RedisBinding(ConnectionMultiplexer connection) => (_connection, _database) = (connection, connection.GetDatabase());

    public static ComponentType ComponentType { get; } = new(
        "bindings.redis",
        "v1",
        [.. RedisConnection.Fields, BindingFields.Route, BindingFields.Direction],
        async (metadata, _, _) => new RedisBinding(await RedisConnection.OpenAsync(metadata)))
    {
        Absent = RedisConnection.Absent,
        ServerFields = RedisConnection.ServerFields,
    };

    public IReadOnlyList<string> Operations { get; } = ["create", "delete", "get", "increment"];

    public async Task<BindingAnswer?> InvokeAsync(BindingCall call, CancellationToken cancellationToken)
    {
        if (call.Metadata.GetValueOrDefault("key") is not { Length: > 0 } key)
            throw new BindingException("redis binding: missing key in request metadata");
        try
        {
            return await InvokeAsync(call, key).WaitAsync(cancellationToken);
        }
        catch (Exception e) when (e is RedisException or RedisTimeoutException)
        {
            throw new BindingException(e.Message, e);
        }
    }

    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private async Task<BindingAnswer?> InvokeAsync(BindingCall call, string key)
    {
        switch (call.Operation)
        {
            case "get":
                var value = call.Metadata.GetValueOrDefault("delete") == "true" ? await _database.StringGetDeleteAsync(key) : await _database.StringGetAsync(key);
                return new((byte[]?)value ?? [], BindingAnswer.NoMetadata);
            case "delete":
                await _database.KeyDeleteAsync(key);
                return null;
            case "increment":
                await _database.StringIncrementAsync(key);
                break;
            default:
                await _database.StringSetAsync(key, call.Data);
                break;
        }

        // As daprd after the write, which stays also where this is refused.
        if (Ttl(call.Metadata) is { } seconds)
            await _database.ExecuteAsync("EXPIRE", key, seconds);
        return null;
    }

    /// <summary>In whole seconds; null without one.</summary>
    private static long? Ttl(IReadOnlyDictionary<string, string> metadata)
    {
        if (TtlFields.Select(name => metadata.FirstOrDefault(field => field.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value).FirstOrDefault(value => value is not null)
            is not { Length: > 0 } text)
            return null;
        if (GoDuration.TryParse(text, out var duration))
            return (long)Math.Max(0, duration.TotalSeconds);
        if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds))
            throw new BindingException($"ttl value must be a valid integer: actual is '{text}'");
        return seconds > 0 ? Math.Min(seconds, MostSeconds) : throw new BindingException($"ttl value must be higher than zero: actual is '{seconds}'");
    }
}
