using Microsoft.Data.Sqlite;

namespace EmbeddedSidecar.Components.State.Sqlite;

/// <summary>The file: opening connections, and the tables.</summary>
internal sealed class SqliteStateDatabase(SqliteStateOptions options)
{
    private const string SchemaKey = "dapr-orders-state";
    private const string SchemaVersion = "1";

    public string Table { get; } = options.TableName;

    public SqliteConnection Open(bool readOnly = false)
    {
        // Commands wait as long as the busy timeout; the pool of the provider would keep the file open behind our back.
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = options.Path,
            Mode = readOnly ? SqliteOpenMode.ReadWrite : SqliteOpenMode.ReadWriteCreate,
            Pooling = false,
            DefaultTimeout = Math.Max(1, (int)Math.Ceiling(options.BusyTimeout.TotalSeconds)),
        }.ToString());
        try
        {
            connection.Open();
            Execute(connection, $"PRAGMA busy_timeout = {(long)options.BusyTimeout.TotalMilliseconds}");
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>The writing connection, the tables made ready. What is answered must be on disk, hence FULL; macOS, and nobody else, asks for fullfsync too.</summary>
    /// <exception cref="InvalidOperationException">The file belongs to something else, or is locked.</exception>
    public SqliteConnection OpenWriter()
    {
        Directory.CreateDirectory(Path.GetDirectoryName(options.Path)!);
        SqliteConnection? connection = null;
        try
        {
            connection = Open();
            Execute(connection, $"""
                PRAGMA journal_mode = {(options.UseWal ? "WAL" : "DELETE")};
                PRAGMA synchronous = FULL;
                PRAGMA fullfsync = ON;
                PRAGMA wal_autocheckpoint = 4000;
                PRAGMA journal_size_limit = 67108864;
                PRAGMA cache_size = -8192;
                """);
            CreateTables(connection);
            return connection;
        }
        catch (SqliteException e)
        {
            connection?.Dispose();
            throw new InvalidOperationException(Explain(e), e);
        }
        catch
        {
            connection?.Dispose();
            throw;
        }
    }

    public string Explain(SqliteException e) => e.SqliteErrorCode switch
    {
        SqliteErrors.Busy or SqliteErrors.Locked =>
            $"{options.Path} is locked by another program for longer than busyTimeout ({options.BusyTimeout.TotalSeconds} s): stop it, or give this store a file of its own",
        SqliteErrors.NotADatabase or SqliteErrors.Corrupt => $"{options.Path} is no SQLite database, or is damaged ({e.Message}): move it away, or give this store another file",
        SqliteErrors.CannotOpen => $"{options.Path} cannot be opened: look at the permissions of the file and its folder",
        SqliteErrors.ReadOnly => $"{options.Path} is read-only",
        SqliteErrors.Full => $"no space is left on the disk of {options.Path}",
        _ => e.Message,
    };

    public static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private void CreateTables(SqliteConnection connection)
    {
        Execute(connection, "BEGIN IMMEDIATE");
        Execute(connection, $"CREATE TABLE IF NOT EXISTS \"{options.MetadataTableName}\" (key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL)");
        var schemaKey = $"{SchemaKey}:{Table}";
        var version = Scalar(connection, $"SELECT value FROM \"{options.MetadataTableName}\" WHERE key = '{schemaKey}'");
        if (version is null && Scalar(connection, $"SELECT name FROM sqlite_master WHERE type = 'table' AND name = '{Table}' COLLATE NOCASE") is not null)
        {
            throw new InvalidOperationException(
                $"table '{Table}' of {options.Path} was not made by this sidecar (by a daprd?) and is not touched: set another connectionString or tableName");
        }

        if (version is not null and not SchemaVersion)
        {
            throw new InvalidOperationException(
                $"table '{Table}' of {options.Path} has schema version {version}, this sidecar knows {SchemaVersion}: move the file away, or set another connectionString");
        }

        if (version is null)
        {
            Execute(connection, $"""
                CREATE TABLE "{Table}" (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL, etag TEXT NOT NULL, expires INTEGER);
                CREATE INDEX "{Table}_expires" ON "{Table}" (expires) WHERE expires IS NOT NULL;
                INSERT INTO "{options.MetadataTableName}" (key, value) VALUES ('{schemaKey}', '{SchemaVersion}');
                """);
        }

        Execute(connection, "COMMIT");
    }

    private static string? Scalar(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return command.ExecuteScalar() as string;
    }
}

/// <summary>The primary result codes of SQLite that mean something to us.</summary>
internal static class SqliteErrors
{
    public const int Busy = 5;
    public const int Locked = 6;
    public const int ReadOnly = 8;
    public const int Corrupt = 11;
    public const int Full = 13;
    public const int CannotOpen = 14;
    public const int NotADatabase = 26;
}
