namespace DaprOrders.Sidecar.Components.State.Redis;

/// <summary>
/// The two writes, each one atomic step of the server. A value is a hash as daprd lays it out, so that both can work on one database: <c>data</c>;
/// <c>version</c>, which counts from 1 and is the ETag; <c>first-write</c>, there from the first write with that option on. The sent tag "0" is none.
/// </summary>
internal static class RedisScripts
{
    /// <summary>
    /// As recorded of daprd: a tag is compared only where there is something to compare it with, and without a tag whatever was once written
    /// with first-write is refused. ARGV: tag, data, "1" for first-write, seconds to live ("" leaves them, 0 or less takes an expiry off).
    /// </summary>
    public const string Set = """
        local version = redis.pcall('HGET', KEYS[1], 'version')
        if type(version) == 'table' then
          redis.call('DEL', KEYS[1])
          version = false
        end
        local sent = ARGV[1]
        local free = not version or version == '' or version == sent
        if not free and sent == '0' then
          free = redis.call('HEXISTS', KEYS[1], 'first-write') == 0
        end
        if not free then
          return error('failed to set key ' .. KEYS[1])
        end
        redis.call('HSET', KEYS[1], 'data', ARGV[2])
        if ARGV[3] == '1' then
          redis.call('HSET', KEYS[1], 'first-write', '0')
        end
        local ttl = tonumber(ARGV[4])
        if ttl and ttl > 0 then
          redis.call('EXPIRE', KEYS[1], ttl)
        elseif ttl then
          redis.call('PERSIST', KEYS[1])
        end
        return redis.call('HINCRBY', KEYS[1], 'version', 1)
        """;

    /// <summary>ARGV: tag.</summary>
    public const string Delete = """
        local version = redis.pcall('HGET', KEYS[1], 'version')
        local known = type(version) == 'string' and version ~= ''
        if known and ARGV[1] ~= '0' and version ~= ARGV[1] then
          return error('failed to delete ' .. KEYS[1])
        end
        return redis.call('DEL', KEYS[1])
        """;
}
