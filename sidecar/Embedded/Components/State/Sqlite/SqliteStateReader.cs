using EmbeddedSidecar.Components.Sqlite;
using Microsoft.Data.Sqlite;

namespace EmbeddedSidecar.Components.State.Sqlite;

/// <summary>A reading connection with its prepared statements. Used by one call at a time.</summary>
internal sealed class SqliteStateReader : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly SqliteStatement _select;
    private readonly SqliteStatement _begin;
    private readonly SqliteStatement _end;

    public SqliteStateReader(SqliteStateDatabase database)
    {
        _connection = database.Open(readOnly: true);
        try
        {
            // Its cache is good until the next commit, so a large one only costs time, to be emptied; the system's has the file anyway.
            SqliteStateDatabase.Execute(_connection, "PRAGMA query_only = ON; PRAGMA cache_size = 256");
            _select = new SqliteStatement(_connection, $"SELECT value, etag, expires FROM \"{database.Table}\" WHERE key = ?1");
            _begin = new SqliteStatement(_connection, "BEGIN");
            _end = new SqliteStatement(_connection, "COMMIT");
        }
        catch
        {
            _connection.Dispose();
            throw;
        }
    }

    public StateEntry? Get(string key, DateTimeOffset now)
    {
        if (!_select.Bind(1, key).Read())
            return null;
        DateTimeOffset? expiry = _select.IsNull(2) ? null : DateTimeOffset.FromUnixTimeMilliseconds(_select.Number(2));
        var entry = expiry <= now ? null : new StateEntry(_select.Bytes(0), _select.Text(1), expiry);
        _select.Reset();
        return entry;
    }

    /// <summary>All as of one moment.</summary>
    public StateEntry?[] GetMany(IReadOnlyList<string> keys, DateTimeOffset now)
    {
        var entries = new StateEntry?[keys.Count];
        _begin.Run();
        for (var i = 0; i < entries.Length; i++)
            entries[i] = Get(keys[i], now);
        _end.Run();
        return entries;
    }

    public void Dispose()
    {
        _select.Dispose();
        _begin.Dispose();
        _end.Dispose();
        _connection.Dispose();
    }
}
