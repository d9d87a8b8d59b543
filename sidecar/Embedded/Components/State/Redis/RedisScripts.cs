namespace EmbeddedSidecar.Components.State.Redis;

/// <summary>
/// The two writes, each one atomic step of the server. A value is a hash as daprd lays it out, so that both can work on one database: <c>data</c>;
/// <c>version</c>, which counts from 1 and is the ETag; <c>first-write</c>, there from the first write with that option on. The sent tag "0" is none.
/// </summary>
internal static class RedisScripts
{
    /// <summary>
    /// As recorded of daprd: a tag is compared only where there is something to compare it with, and without a tag whatever was once written
    /// with first-write is refused. A refusal is returned.
    /// </summary>
    private const string Functions = """
        local function set(key, sent, data, marks, ttl)
          local version = redis.pcall('HGET', key, 'version')
          if type(version) == 'table' then
            redis.call('DEL', key)
            version = false
          end
          local free = not version or version == '' or version == sent
          if not free and sent == '0' then
            free = redis.call('HEXISTS', key, 'first-write') == 0
          end
          if not free then
            return 'failed to set key ' .. key
          end
          redis.call('HSET', key, 'data', data)
          if marks == '1' then
            redis.call('HSET', key, 'first-write', '0')
          end
          ttl = tonumber(ttl)
          if ttl and ttl > 0 then
            redis.call('EXPIRE', key, ttl)
          elseif ttl then
            redis.call('PERSIST', key)
          end
          redis.call('HINCRBY', key, 'version', 1)
        end
        local function delete(key, sent)
          local version = redis.pcall('HGET', key, 'version')
          local known = type(version) == 'string' and version ~= ''
          if known and sent ~= '0' and version ~= sent then
            return 'failed to delete ' .. key
          end
          redis.call('DEL', key)
        end

        """;

    /// <summary>ARGV: tag, data, "1" for first-write, seconds to live ("" leaves them, 0 or less takes an expiry off).</summary>
    public const string Set = Functions + """
        local refusal = set(KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
        if refusal then
          return error(refusal)
        end
        """;

    /// <summary>ARGV: tag.</summary>
    public const string Delete = Functions + """
        local refusal = delete(KEYS[1], ARGV[1])
        if refusal then
          return error(refusal)
        end
        """;

    /// <summary>
    /// Many writes, in order, of which those that are refused or fail do not stop the others; the first of their reasons is the answer. ARGV for each key: tag, data, seconds
    /// to live; a write without data is a delete, and has "" and "delete" there. The tag "after" is none, of a write that is done only after the one before it.
    /// </summary>
    public const string Transact = Functions + """
        local first
        local written = true
        for i, key in ipairs(KEYS) do
          local sent, data, ttl = ARGV[i * 3 - 2], ARGV[i * 3 - 1], ARGV[i * 3]
          local done, refusal
          if sent == 'after' then
            if written then
              done, refusal = pcall(set, key, '0', data, '0', ttl)
            end
          elseif ttl == 'delete' then
            done, refusal = pcall(delete, key, sent)
          else
            done, refusal = pcall(set, key, sent, data, '0', ttl)
          end
          if not done and type(refusal) == 'table' then
            refusal = refusal.err
          end
          written = done and not refusal
          first = first or refusal
        end
        if first then
          return error(first)
        end
        """;
}
