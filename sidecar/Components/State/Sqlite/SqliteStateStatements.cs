using System.Runtime.InteropServices;
using Microsoft.Data.Sqlite;

namespace DaprOrders.Sidecar.Components.State.Sqlite;

/// <summary>The prepared statements of the writer. Used by its thread alone.</summary>
internal sealed class SqliteStateStatements : IDisposable
{
    private const string IsAlive = "(expires IS NULL OR expires > $now)";

    private readonly SqliteCommand _begin;
    private readonly SqliteCommand _commit;
    private readonly SqliteCommand _rollBack;
    private readonly SqliteCommand _openSavepoint;
    private readonly SqliteCommand _undoSavepoint;
    private readonly SqliteCommand _releaseSavepoint;
    private readonly SqliteCommand _upsert;
    private readonly SqliteCommand _create;
    private readonly SqliteCommand _update;
    private readonly SqliteCommand _delete;
    private readonly SqliteCommand _deleteMatching;
    private readonly SqliteCommand _removeExpired;
    private readonly SqliteConnection _connection;
    private readonly List<SqliteCommand> _all = [];

    public SqliteStateStatements(SqliteConnection connection, string table)
    {
        _connection = connection;
        _begin = Prepare("BEGIN IMMEDIATE");
        _commit = Prepare("COMMIT");
        _rollBack = Prepare("ROLLBACK");
        _openSavepoint = Prepare("SAVEPOINT one");
        _undoSavepoint = Prepare("ROLLBACK TO one");
        _releaseSavepoint = Prepare("RELEASE one");
        var insert = $"""
            INSERT INTO "{table}" (key, value, etag, expires) VALUES ($key, $value, $newEtag, $expires)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value, etag = excluded.etag, expires = excluded.expires
            """;
        _upsert = Prepare(insert, "$key", "$value", "$newEtag", "$expires");
        _create = Prepare($"{insert} WHERE NOT {IsAlive}", "$key", "$value", "$newEtag", "$expires", "$now");
        _update = Prepare(
            $"UPDATE \"{table}\" SET value = $value, etag = $newEtag, expires = $expires WHERE key = $key AND etag = $etag AND {IsAlive}",
            "$key", "$value", "$newEtag", "$expires", "$etag", "$now");
        _delete = Prepare($"DELETE FROM \"{table}\" WHERE key = $key", "$key");
        _deleteMatching = Prepare($"DELETE FROM \"{table}\" WHERE key = $key AND etag = $etag AND {IsAlive}", "$key", "$etag", "$now");
        _removeExpired = Prepare($"DELETE FROM \"{table}\" WHERE expires <= $now", "$now");
    }

    /// <summary>Unix milliseconds, set before a batch.</summary>
    public long Now { get; set; }

    public void Begin() => _begin.ExecuteNonQuery();

    public void Commit() => _commit.ExecuteNonQuery();

    /// <summary>After some failures SQLite has rolled back by itself.</summary>
    public void RollBackIfOpen()
    {
        if (SQLitePCL.raw.sqlite3_get_autocommit(_connection.Handle) == 0)
            _rollBack.ExecuteNonQuery();
    }

    public void OpenSavepoint() => _openSavepoint.ExecuteNonQuery();

    public void CloseSavepoint(bool keep)
    {
        if (!keep)
            _undoSavepoint.ExecuteNonQuery();
        _releaseSavepoint.ExecuteNonQuery();
    }

    /// <summary>False when the condition of the write does not hold; nothing was changed then.</summary>
    public bool Apply(StateWrite write) => write switch
    {
        StateUpsert { ETag.Length: > 0 } upsert => Run(_update, upsert.Key, Bytes(upsert.Value), NewETag(), Expiry(upsert), upsert.ETag!, Now) > 0,
        StateUpsert { FirstWrite: true } upsert => Run(_create, upsert.Key, Bytes(upsert.Value), NewETag(), Expiry(upsert), Now) > 0,
        StateUpsert upsert => Run(_upsert, upsert.Key, Bytes(upsert.Value), NewETag(), Expiry(upsert)) > 0,
        { ETag.Length: > 0 } => Run(_deleteMatching, write.Key, write.ETag!, Now) > 0,
        _ => Run(_delete, write.Key) >= 0,
    };

    public void RemoveExpired() => Run(_removeExpired, Now);

    public void Dispose()
    {
        foreach (var command in _all)
            command.Dispose();
    }

    private static int Run(SqliteCommand command, params ReadOnlySpan<object?> values)
    {
        for (var i = 0; i < values.Length; i++)
            command.Parameters[i].Value = values[i] ?? DBNull.Value;
        return command.ExecuteNonQuery();
    }

    /// <summary>A UUID, as daprd's. Nobody has to be unable to guess it, so the system is not asked for its random numbers at every write.</summary>
    private static string NewETag()
    {
        Span<byte> bytes = stackalloc byte[16];
        Random.Shared.NextBytes(bytes);
        return new Guid(bytes).ToString();
    }

    private long? Expiry(StateUpsert upsert) => upsert.TtlSeconds is > 0 and { } seconds ? Now + (seconds * 1000L) : null;

    private static byte[] Bytes(ReadOnlyMemory<byte> value) =>
        MemoryMarshal.TryGetArray(value, out var segment) && segment.Offset == 0 && segment.Count == segment.Array!.Length ? segment.Array : value.ToArray();

    private SqliteCommand Prepare(string sql, params ReadOnlySpan<string> parameters)
    {
        var command = _connection.CreateCommand();
        _all.Add(command);
        command.CommandText = sql;
        foreach (var parameter in parameters)
            command.Parameters.AddWithValue(parameter, DBNull.Value);
        command.Prepare();
        return command;
    }
}
