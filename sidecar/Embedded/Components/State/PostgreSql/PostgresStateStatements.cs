using Npgsql;
using NpgsqlTypes;

namespace EmbeddedSidecar.Components.State.PostgreSql;

/// <summary>
/// The statements, over a table as daprd lays it out, so that both can work on one database. The time is the server's, so that every sidecar
/// agrees on what has expired.
/// </summary>
internal sealed class PostgresStateStatements(string table)
{
    private const string IsAlive = "(expires_at IS NULL OR expires_at >= now())";
    private const string Expiry = "now() + make_interval(secs => $3)";

    private readonly string _upsert = $"""
        INSERT INTO {table} AS stored (key, value, etag, expires_at) VALUES ($1, $2, gen_random_uuid(), {Expiry})
        ON CONFLICT (key) DO UPDATE SET value = excluded.value, etag = excluded.etag, updated_at = now(), expires_at = excluded.expires_at
        """;

    private readonly string _update = $"""
        UPDATE {table} SET value = $2, etag = gen_random_uuid(), updated_at = now(), expires_at = {Expiry}
        WHERE key = $1 AND etag = $4 AND {IsAlive}
        """;

    public string Get { get; } = $"SELECT key, value, etag, expires_at FROM {table} WHERE key = ANY($1) AND {IsAlive}";

    public string RemoveExpired { get; } = $"DELETE FROM {table} WHERE expires_at < now()";

    /// <summary>Nothing is touched where the table is there: daprd adds columns of its own.</summary>
    public string CreateTable { get; } = $"""
        CREATE TABLE IF NOT EXISTS {table} (
          key text NOT NULL PRIMARY KEY,
          value bytea NOT NULL,
          etag uuid NOT NULL DEFAULT gen_random_uuid(),
          created_at timestamp with time zone NOT NULL DEFAULT now(),
          updated_at timestamp with time zone,
          expires_at timestamp with time zone);
        CREATE INDEX IF NOT EXISTS {table[(table.IndexOf('.', StringComparison.Ordinal) + 1)..]}_expires_at_idx ON {table} (expires_at)
        """;

    public string LookAtTable { get; } = $"SELECT key, value, etag, expires_at FROM {table} LIMIT 0";

    /// <summary>The text and the parameters of one write. What it must change is one row, or its condition does not hold (a delete without a tag has none).</summary>
    public (string Sql, NpgsqlParameter[] Parameters) Of(StateWrite write) => write switch
    {
        StateUpsert { ETag.Length: > 0 } upsert => (_update, [Key(upsert), Value(upsert), Ttl(upsert), Tag(upsert)]),
        StateUpsert { FirstWrite: true } upsert => ($"{_upsert} WHERE stored.expires_at < now()", [Key(upsert), Value(upsert), Ttl(upsert)]),
        StateUpsert upsert => (_upsert, [Key(upsert), Value(upsert), Ttl(upsert)]),
        { ETag.Length: > 0 } => ($"DELETE FROM {table} WHERE key = $1 AND etag = $2", [Key(write), Tag(write)]),
        _ => ($"DELETE FROM {table} WHERE key = $1", [Key(write)]),
    };

    private static NpgsqlParameter<string> Key(StateWrite write) => new() { TypedValue = write.Key, NpgsqlDbType = NpgsqlDbType.Text };

    /// <summary>daprd cannot store an empty value here: to its driver it is NULL, which the table refuses.</summary>
    private static NpgsqlParameter Value(StateUpsert upsert) => upsert.Value.IsEmpty
        ? new NpgsqlParameter { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bytea }
        : new NpgsqlParameter<ReadOnlyMemory<byte>> { TypedValue = upsert.Value, NpgsqlDbType = NpgsqlDbType.Bytea };

    private static NpgsqlParameter Ttl(StateUpsert upsert) => new()
    {
        Value = upsert.TtlSeconds is > 0 and { } seconds ? (double)seconds : DBNull.Value,
        NpgsqlDbType = NpgsqlDbType.Double,
    };

    private static NpgsqlParameter<Guid> Tag(StateWrite write) => new() { TypedValue = Guid.Parse(write.ETag!), NpgsqlDbType = NpgsqlDbType.Uuid };
}
