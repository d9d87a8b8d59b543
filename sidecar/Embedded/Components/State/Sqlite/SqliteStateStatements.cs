using EmbeddedSidecar.Components.Sqlite;
using EmbeddedSidecar.Formats;
using Microsoft.Data.Sqlite;

namespace EmbeddedSidecar.Components.State.Sqlite;

/// <summary>The prepared statements of the writer. Used by its thread alone.</summary>
internal sealed class SqliteStateStatements : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly List<SqliteStatement> _all = [];
    private readonly SqliteStatement _openSavepoint;
    private readonly SqliteStatement _undoSavepoint;
    private readonly SqliteStatement _releaseSavepoint;
    private readonly SqliteStatement _upsert;
    private readonly SqliteStatement _create;
    private readonly SqliteStatement _update;
    private readonly SqliteStatement _delete;
    private readonly SqliteStatement _deleteMatching;
    private readonly SqliteStatement _removeExpired;

    public SqliteStateStatements(SqliteConnection connection, string table)
    {
        _connection = connection;
        Transaction = new WriterTransaction(connection);
        _openSavepoint = Prepare("SAVEPOINT one");
        _undoSavepoint = Prepare("ROLLBACK TO one");
        _releaseSavepoint = Prepare("RELEASE one");

        // ?1 key, ?2 value, ?3 the new ETag, ?4 when it expires, ?5 now, ?6 the ETag that must match
        const string isAlive = "(expires IS NULL OR expires > ?5)";
        var insert = $"""
            INSERT INTO "{table}" (key, value, etag, expires) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value, etag = excluded.etag, expires = excluded.expires
            """;
        _upsert = Prepare(insert);
        _create = Prepare($"{insert} WHERE NOT {isAlive}");
        _update = Prepare($"UPDATE \"{table}\" SET value = ?2, etag = ?3, expires = ?4 WHERE key = ?1 AND etag = ?6 AND {isAlive}");
        _delete = Prepare($"DELETE FROM \"{table}\" WHERE key = ?1");
        _deleteMatching = Prepare($"DELETE FROM \"{table}\" WHERE key = ?1 AND etag = ?2");
        _removeExpired = Prepare($"DELETE FROM \"{table}\" WHERE expires <= ?1");
    }

    public WriterTransaction Transaction { get; }

    /// <summary>Unix milliseconds, set before a batch.</summary>
    public long Now { get; set; }

    public void OpenSavepoint() => _openSavepoint.Run();

    public void CloseSavepoint(bool keep)
    {
        if (!keep)
            _undoSavepoint.Run();
        _releaseSavepoint.Run();
    }

    /// <summary>False when the condition of the write does not hold; nothing was changed then.</summary>
    public bool Apply(StateWrite write) => write switch
    {
        StateUpsert { ETag.Length: > 0 } upsert => Bind(_update, upsert).Bind(5, Now).Bind(6, upsert.ETag).Run() > 0,
        StateUpsert { FirstWrite: true } upsert => Bind(_create, upsert).Bind(5, Now).Run() > 0,
        StateUpsert upsert => Bind(_upsert, upsert).Run() > 0,
        { ETag.Length: > 0 } => _deleteMatching.Bind(1, write.Key).Bind(2, write.ETag).Run() > 0,
        _ => _delete.Bind(1, write.Key).Run() >= 0,
    };

    public void RemoveExpired() => _removeExpired.Bind(1, Now).Run();

    public void Dispose()
    {
        Transaction.Dispose();
        _all.ForEach(statement => statement.Dispose());
    }

    private SqliteStatement Bind(SqliteStatement statement, StateUpsert upsert) =>
        statement.Bind(1, upsert.Key).Bind(2, upsert.Value.Span).Bind(3, Uuid.Next()).Bind(4, Expiry(upsert));

    private long? Expiry(StateUpsert upsert) => upsert.TtlSeconds is > 0 and { } seconds ? Now + (seconds * 1000L) : null;

    private SqliteStatement Prepare(string sql)
    {
        var statement = new SqliteStatement(_connection, sql);
        _all.Add(statement);
        return statement;
    }
}
