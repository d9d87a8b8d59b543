using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Microsoft.Data.Sqlite;

namespace EmbeddedSidecar.Jobs;

/// <summary>The jobs of all applications in one database file, which belongs to this process until it is closed. What was written is on disk. For one thread at a time.</summary>
internal sealed class JobStore : IDisposable
{
    private readonly SqliteConnection _database;

    /// <exception cref="IOException">The file cannot be opened, or another process has it.</exception>
    public JobStore(string path)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        _database = new(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = 1 }.ToString());
        try
        {
            _database.Open();
            Run("PRAGMA locking_mode = EXCLUSIVE");
            Run("PRAGMA journal_mode = WAL");
            Run("PRAGMA synchronous = FULL");
            Run("PRAGMA fullfsync = ON");
            Run("""
                CREATE TABLE IF NOT EXISTS job (namespace TEXT NOT NULL, app TEXT NOT NULL, name TEXT NOT NULL, job BLOB NOT NULL,
                    begin INTEGER NOT NULL, expires INTEGER, count INTEGER NOT NULL, last INTEGER, attempts INTEGER NOT NULL,
                    PRIMARY KEY (namespace, app, name)) WITHOUT ROWID
                """);
        }
        catch (SqliteException e)
        {
            _database.Dispose();
            throw new IOException(
                $"The jobs in {path} cannot be opened: {e.Message}. Where another process has them, end it, or give this one another file", e);
        }
    }

    public IReadOnlyList<JobRecord> Load()
    {
        using var command = _database.CreateCommand();
        command.CommandText = "SELECT namespace, app, name, job, begin, expires, count, last, attempts FROM job";
        using var rows = command.ExecuteReader();
        var jobs = new List<JobRecord>();
        while (rows.Read())
        {
            jobs.Add(new(
                new(new(rows.GetString(0), rows.GetString(1)), rows.GetString(2)),
                Job.Parser.ParseFrom((byte[])rows.GetValue(3)),
                Time(4)!.Value,
                Time(5),
                new(rows.GetInt32(6), Time(7), rows.GetInt32(8))));
        }

        return jobs;

        DateTimeOffset? Time(int column) => rows.IsDBNull(column) ? null : new DateTimeOffset(rows.GetInt64(column), TimeSpan.Zero);
    }

    public void Save(JobRecord record) => Run(
        """
        INSERT OR REPLACE INTO job (namespace, app, name, job, begin, expires, count, last, attempts)
        VALUES ($namespace, $app, $name, $job, $begin, $expires, $count, $last, $attempts)
        """,
        [
            .. Of(record.Key), new("$job", record.Job.ToByteArray()),
            new("$begin", record.Begin.UtcTicks), new("$expires", (object?)record.Expires?.UtcTicks ?? DBNull.Value), .. Of(record.Progress),
        ]);

    public void Note(JobRecord record) => Run(
        "UPDATE job SET count = $count, last = $last, attempts = $attempts WHERE namespace = $namespace AND app = $app AND name = $name",
        [.. Of(record.Key), .. Of(record.Progress)]);

    public void Remove(JobKey key) => Run("DELETE FROM job WHERE namespace = $namespace AND app = $app AND name = $name", Of(key));

    public void Dispose() => _database.Dispose();

    private static SqliteParameter[] Of(JobKey key) =>
        [new("$namespace", key.Owner.Namespace), new("$app", key.Owner.AppId), new("$name", key.Name)];

    private static SqliteParameter[] Of(JobProgress progress) =>
        [new("$count", progress.Count), new("$last", (object?)progress.Last?.UtcTicks ?? DBNull.Value), new("$attempts", progress.Attempts)];

    private void Run(string sql, params SqliteParameter[] parameters)
    {
        using var command = _database.CreateCommand();
        command.CommandText = sql;
        command.Parameters.AddRange(parameters);
        command.ExecuteNonQuery();
    }
}
