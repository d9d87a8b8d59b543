using System.Diagnostics;
using Microsoft.Data.Sqlite;

namespace DaprOrders.Bench.Measuring;

/// <summary>
/// What the disk gives: one row, one SQLite commit with synchronous=FULL, by one caller, without anything else. Whatever is durable here waits
/// for such commits, and a shared disk can be ten times slower a minute later, so this is measured beside every round.
/// </summary>
internal sealed class BareCommits : IDisposable
{
    private const int RowBytes = 400;

    private static readonly TimeSpan Time = TimeSpan.FromMilliseconds(300);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("daprorders-bench-bare-");
    private readonly SqliteConnection _connection;
    private readonly SqliteCommand _insert;
    private readonly SqliteParameter _key;

    public BareCommits()
    {
        _connection = new SqliteConnection($"Data Source={Path.Combine(_folder.FullName, "bare.db")};Pooling=False");
        _connection.Open();
        _insert = _connection.CreateCommand();
        _insert.CommandText = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE row (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL)";
        _insert.ExecuteNonQuery();
        _insert.CommandText = "INSERT INTO row (key, value) VALUES ($key, $value)";
        _key = _insert.Parameters.AddWithValue("$key", "");
        _insert.Parameters.AddWithValue("$value", new byte[RowBytes]);
    }

    /// <summary>Commits per second, over a third of a second.</summary>
    public double Measure()
    {
        var commits = 0;
        var clock = Stopwatch.StartNew();
        for (; clock.Elapsed < Time; commits++)
        {
            _key.Value = Guid.NewGuid().ToString();
            _insert.ExecuteNonQuery();
        }

        return commits / clock.Elapsed.TotalSeconds;
    }

    public void Dispose()
    {
        _insert.Dispose();
        _connection.Dispose();
        _folder.Delete(recursive: true);
    }
}
