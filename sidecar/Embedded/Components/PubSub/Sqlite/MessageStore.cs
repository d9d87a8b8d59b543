using System.Runtime.InteropServices;
using System.Text.Json;
using EmbeddedSidecar.Components.Sqlite;
using Microsoft.Data.Sqlite;

namespace EmbeddedSidecar.Components.PubSub.Sqlite;

/// <summary>A message with its place in its topic; places are counted up from 1 in the order of publication.</summary>
internal sealed record StoredMessage(long Place, BrokerMessage Message);

/// <summary>What is kept of a consumer: everything up to <c>Position</c> is finished but for <c>Unfinished</c>.</summary>
internal sealed record ConsumerState(string Consumer, int Topic, long Position, IReadOnlyList<long> Unfinished);

internal sealed record TopicState(string Name, int Number, long LastPlace);

/// <summary>
/// The tables. A message's key is its topic's number and its place in one integer, so that a topic's messages lie together, are
/// read in order and are removed as one range, without a second index. Written to by one thread, read by others.
/// </summary>
internal sealed class MessageStore : IDisposable
{
    private const int PlaceBits = 44;
    private const int MaxReadBytes = 16 * 1024 * 1024;

    private readonly FileStream _ownership;
    private readonly SqliteConnection _writer;
    private readonly SqliteConnection _reader;
    private readonly Lock _reading = new();
    private readonly WriterTransaction _transaction;
    private readonly SqliteStatement _insertMessage;
    private readonly SqliteStatement _upsertConsumer;
    private readonly SqliteStatement _removeMessages;
    private readonly SqliteStatement _readAfter;
    private readonly SqliteStatement _readPlaces;
    private bool _untilOnDisk = true;

    public MessageStore(string path, int maxPages = 0)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        _ownership = TakeOwnership(path);
        _writer = Open(path);
        Execute(_writer, """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            PRAGMA fullfsync = ON;
            PRAGMA wal_autocheckpoint = 4000;
            PRAGMA journal_size_limit = 67108864;
            PRAGMA cache_size = -4096;
            CREATE TABLE IF NOT EXISTS topic (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
            CREATE TABLE IF NOT EXISTS message (key INTEGER PRIMARY KEY, content_type TEXT, metadata TEXT, data BLOB NOT NULL);
            CREATE TABLE IF NOT EXISTS consumer (name TEXT NOT NULL, topic INTEGER NOT NULL, position INTEGER NOT NULL, unfinished BLOB NOT NULL,
                PRIMARY KEY (name, topic)) WITHOUT ROWID;
            """);
        if (maxPages > 0)
            Execute(_writer, $"PRAGMA max_page_count = {maxPages}");
        _reader = Open(path);
        _transaction = new(_writer);
        _insertMessage = new(_writer, "INSERT INTO message (key, content_type, metadata, data) VALUES (?1, ?2, ?3, ?4)");
        _upsertConsumer = new(_writer, "INSERT OR REPLACE INTO consumer (name, topic, position, unfinished) VALUES (?1, ?2, ?3, ?4)");
        _removeMessages = new(_writer, "DELETE FROM message WHERE key BETWEEN ?1 AND ?2");
        _readAfter = new(_reader, "SELECT key, content_type, metadata, data FROM message WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT ?3");
        _readPlaces = new(_reader, "SELECT key, content_type, metadata, data FROM message WHERE key IN (SELECT value FROM json_each(?1)) ORDER BY key");
    }

    /// <summary>A place is never given twice: where all messages are gone, the consumers' positions tell the last one.</summary>
    public IReadOnlyList<TopicState> ReadTopics()
    {
        using var command = _writer.CreateCommand();
        command.CommandText = $"""
            SELECT name, number,
                MAX(COALESCE((SELECT MAX(key) FROM message WHERE key BETWEEN number << {PlaceBits} AND (number + 1 << {PlaceBits}) - 1), 0) & ((1 << {PlaceBits}) - 1),
                    COALESCE((SELECT MAX(position) FROM consumer WHERE consumer.topic = number), 0))
            FROM topic
            """;
        using var rows = command.ExecuteReader();
        var topics = new List<TopicState>();
        while (rows.Read())
            topics.Add(new(rows.GetString(0), rows.GetInt32(1), rows.GetInt64(2)));
        return topics;
    }

    public IReadOnlyList<ConsumerState> ReadConsumers()
    {
        using var command = _writer.CreateCommand();
        command.CommandText = "SELECT name, topic, position, unfinished FROM consumer";
        using var rows = command.ExecuteReader();
        var consumers = new List<ConsumerState>();
        while (rows.Read())
            consumers.Add(new(rows.GetString(0), rows.GetInt32(1), rows.GetInt64(2), MemoryMarshal.Cast<byte, long>((byte[])rows.GetValue(3)).ToArray()));
        return consumers;
    }

    /// <summary>The next messages of a topic, in order; fewer than the limit when they are large, but one at least when there is one.</summary>
    public IReadOnlyList<StoredMessage> ReadAfter(int topic, long place, int limit)
    {
        lock (_reading)
        {
            return ReadMessages(_readAfter.Bind(1, Key(topic, place)).Bind(2, Key(topic + 1, 0)).Bind(3, limit), MaxReadBytes);
        }
    }

    public IReadOnlyList<StoredMessage> ReadPlaces(int topic, IReadOnlyList<long> places)
    {
        lock (_reading)
        {
            var keys = JsonSerializer.Serialize(places.Select(place => Key(topic, place)));
            return ReadMessages(_readPlaces.Bind(1, keys), long.MaxValue);
        }
    }

    /// <summary>How many messages a consumer has not finished, by what is on disk.</summary>
    public long CountOpen(ConsumerState state)
    {
        using var command = _writer.CreateCommand();
        command.CommandText = "SELECT COUNT(*) FROM message WHERE key > $after AND key < $end";
        command.Parameters.AddWithValue("$after", Key(state.Topic, state.Position));
        command.Parameters.AddWithValue("$end", Key(state.Topic + 1, 0));
        return (long)command.ExecuteScalar()! + state.Unfinished.Count;
    }

    /// <param name="untilOnDisk">False: a crash of the machine, not of the process, may undo the commit, until the next one that is on disk.</param>
    public void Begin(bool untilOnDisk = true)
    {
        if (untilOnDisk != _untilOnDisk)
            Execute(_writer, $"PRAGMA synchronous = {(untilOnDisk ? "FULL" : "NORMAL")}");
        _untilOnDisk = untilOnDisk;
        _transaction.Begin();
    }

    public void Commit() => _transaction.Commit();

    public void RollBackIfOpen() => _transaction.RollBackIfOpen();

    public void AddTopic(int number, string name) => RunOnce("INSERT INTO topic (number, name) VALUES (?1, ?2)", statement => statement.Bind(1, number).Bind(2, name));

    public void Add(int topic, StoredMessage stored)
    {
        var message = stored.Message;
        _insertMessage
            .Bind(1, Key(topic, stored.Place))
            .Bind(2, message.ContentType)
            .Bind(3, message.Metadata is null ? null : JsonSerializer.Serialize(message.Metadata))
            .Bind(4, message.Data.Span)
            .Run();
    }

    public void Save(ConsumerState state) => _upsertConsumer
        .Bind(1, state.Consumer)
        .Bind(2, state.Topic)
        .Bind(3, state.Position)
        .Bind(4, MemoryMarshal.AsBytes(state.Unfinished.ToArray().AsSpan()))
        .Run();

    public void Remove(ConsumerState consumer) => RunOnce(
        "DELETE FROM consumer WHERE name = ?1 AND topic = ?2", statement => statement.Bind(1, consumer.Consumer).Bind(2, consumer.Topic));

    /// <summary>The topic with all its messages.</summary>
    public void RemoveTopic(int number)
    {
        _removeMessages.Bind(1, Key(number, 0)).Bind(2, Key(number + 1, 0) - 1).Run();
        RunOnce("DELETE FROM topic WHERE number = ?1", statement => statement.Bind(1, number));
    }

    public void RemoveUpTo(int topic, long place) => _removeMessages.Bind(1, Key(topic, 0)).Bind(2, Key(topic, place)).Run();

    public void Dispose()
    {
        lock (_reading)
        {
            _readAfter.Dispose();
            _readPlaces.Dispose();
            _reader.Dispose();
        }

        _transaction.Dispose();
        _insertMessage.Dispose();
        _upsertConsumer.Dispose();
        _removeMessages.Dispose();
        _writer.Dispose();
        _ownership.Dispose();
    }

    private void RunOnce(string sql, Action<SqliteStatement> bind)
    {
        using var statement = new SqliteStatement(_writer, sql);
        bind(statement);
        statement.Run();
    }

    private static long Key(int topic, long place) => ((long)topic << PlaceBits) + place;

    private static FileStream TakeOwnership(string path)
    {
        try
        {
            return new(path + ".owner", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException error)
        {
            throw new InvalidOperationException(
                $"The database {path} of pubsub.sqlite is in use by another process, or by a second component of this one; that may be this component as it was before its file changed. Only one may use it: end the other, give this one another file, or start the sidecars again.", error);
        }
    }

    private static SqliteConnection Open(string path)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        connection.Open();
        Execute(connection, "PRAGMA busy_timeout = 30000");
        return connection;
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static List<StoredMessage> ReadMessages(SqliteStatement select, long maxBytes)
    {
        var messages = new List<StoredMessage>();
        var bytes = 0L;
        try
        {
            while (bytes < maxBytes && select.Read())
            {
                messages.Add(new(
                    select.Number(0) & ((1L << PlaceBits) - 1),
                    new(
                        select.Bytes(3),
                        select.IsNull(1) ? null : select.Text(1),
                        select.IsNull(2) ? null : JsonSerializer.Deserialize<Dictionary<string, string>>(select.Text(2)))));
                bytes += messages[^1].Message.Data.Length;
            }
        }
        finally
        {
            select.Reset();
        }

        return messages;
    }
}
