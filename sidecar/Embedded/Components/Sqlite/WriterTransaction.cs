using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace EmbeddedSidecar.Components.Sqlite;

/// <summary>The transactions of a file's one writer, one after the other; prepared once, since there are hundreds in a second.</summary>
internal sealed class WriterTransaction(SqliteConnection connection) : IDisposable
{
    private readonly SqliteStatement _begin = new(connection, "BEGIN IMMEDIATE");
    private readonly SqliteStatement _commit = new(connection, "COMMIT");
    private readonly SqliteStatement _rollBack = new(connection, "ROLLBACK");

    public void Begin() => _begin.Run();

    public void Commit() => _commit.Run();

    /// <summary>After some failures SQLite has rolled back by itself.</summary>
    public void RollBackIfOpen()
    {
        if (raw.sqlite3_get_autocommit(connection.Handle) == 0)
            _rollBack.Run();
    }

    public void Dispose()
    {
        _begin.Dispose();
        _commit.Dispose();
        _rollBack.Dispose();
    }
}
