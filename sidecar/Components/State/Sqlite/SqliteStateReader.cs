using Microsoft.Data.Sqlite;

namespace DaprOrders.Sidecar.Components.State.Sqlite;

/// <summary>A reading connection with its prepared statement. Used by one call at a time.</summary>
internal sealed class SqliteStateReader : IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly SqliteCommand _select;
    private readonly SqliteParameter _key;

    public SqliteStateReader(SqliteStateDatabase database)
    {
        _connection = database.Open(readOnly: true);
        SqliteStateDatabase.Execute(_connection, "PRAGMA query_only = ON");
        _select = _connection.CreateCommand();
        _select.CommandText = $"SELECT value, etag, expires FROM \"{database.Table}\" WHERE key = $key";
        _key = _select.Parameters.AddWithValue("$key", "");
        _select.Prepare();
    }

    public StateEntry? Get(string key, DateTimeOffset now)
    {
        _key.Value = key;
        using var row = _select.ExecuteReader();
        if (!row.Read())
            return null;
        DateTimeOffset? expiry = row.IsDBNull(2) ? null : DateTimeOffset.FromUnixTimeMilliseconds(row.GetInt64(2));
        return expiry <= now ? null : new StateEntry(row.GetFieldValue<byte[]>(0), row.GetString(1), expiry);
    }

    /// <summary>All as of one moment.</summary>
    public StateEntry?[] GetMany(IReadOnlyList<string> keys, DateTimeOffset now)
    {
        var entries = new StateEntry?[keys.Count];
        using var snapshot = _connection.BeginTransaction(deferred: true);
        _select.Transaction = snapshot;
        for (var i = 0; i < entries.Length; i++)
            entries[i] = Get(keys[i], now);
        _select.Transaction = null;
        return entries;
    }

    public void Dispose()
    {
        _select.Dispose();
        _connection.Dispose();
    }
}
