using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Data.Sqlite;

namespace DaprOrders.Sidecar.Components.PubSub.Sqlite;

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
    private readonly SqliteCommand _insertMessage;
    private readonly SqliteCommand _upsertConsumer;
    private readonly SqliteCommand _removeMessages;
    private bool _untilOnDisk = true;

    public MessageStore(string path, int maxPages = 0)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        _ownership = TakeOwnership(path);
        _writer = Open(path);
        Execute(_writer, """
            PRAGMA journal_mode = WAL;
            PRAGMA synchronous = FULL;
            CREATE TABLE IF NOT EXISTS topic (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
            CREATE TABLE IF NOT EXISTS message (key INTEGER PRIMARY KEY, content_type TEXT, metadata TEXT, data BLOB NOT NULL);
            CREATE TABLE IF NOT EXISTS consumer (name TEXT NOT NULL, topic INTEGER NOT NULL, position INTEGER NOT NULL, unfinished BLOB NOT NULL,
                PRIMARY KEY (name, topic)) WITHOUT ROWID;
            """);
        if (maxPages > 0)
            Execute(_writer, $"PRAGMA max_page_count = {maxPages}");
        _reader = Open(path);
        _insertMessage = Prepare("INSERT INTO message (key, content_type, metadata, data) VALUES ($key, $contentType, $metadata, $data)", "$key", "$contentType", "$metadata", "$data");
        _upsertConsumer = Prepare("INSERT OR REPLACE INTO consumer (name, topic, position, unfinished) VALUES ($name, $topic, $position, $unfinished)", "$name", "$topic", "$position", "$unfinished");
        _removeMessages = Prepare("DELETE FROM message WHERE key BETWEEN $from AND $to", "$from", "$to");
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
            using var command = _reader.CreateCommand();
            command.CommandText = "SELECT key, content_type, metadata, data FROM message WHERE key > $after AND key < $end ORDER BY key LIMIT $limit";
            command.Parameters.AddWithValue("$after", Key(topic, place));
            command.Parameters.AddWithValue("$end", Key(topic + 1, 0));
            command.Parameters.AddWithValue("$limit", limit);
            return ReadMessages(command, MaxReadBytes);
        }
    }

    public IReadOnlyList<StoredMessage> ReadPlaces(int topic, IReadOnlyList<long> places)
    {
        lock (_reading)
        {
            using var command = _reader.CreateCommand();
            command.CommandText = "SELECT key, content_type, metadata, data FROM message WHERE key IN (SELECT value FROM json_each($keys)) ORDER BY key";
            command.Parameters.AddWithValue("$keys", JsonSerializer.Serialize(places.Select(place => Key(topic, place))));
            return ReadMessages(command, long.MaxValue);
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
    public SqliteTransaction Begin(bool untilOnDisk = true)
    {
        if (untilOnDisk != _untilOnDisk)
            Execute(_writer, $"PRAGMA synchronous = {(untilOnDisk ? "FULL" : "NORMAL")}");
        _untilOnDisk = untilOnDisk;
        return _writer.BeginTransaction();
    }

    public void AddTopic(SqliteTransaction transaction, int number, string name)
    {
        using var command = _writer.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = "INSERT INTO topic (number, name) VALUES ($number, $name)";
        command.Parameters.AddWithValue("$number", number);
        command.Parameters.AddWithValue("$name", name);
        command.ExecuteNonQuery();
    }

    public void Add(SqliteTransaction transaction, int topic, StoredMessage stored)
    {
        var message = stored.Message;
        Set(_insertMessage, transaction, Key(topic, stored.Place), message.ContentType,
            message.Metadata is null ? null : JsonSerializer.Serialize(message.Metadata), Bytes(message.Data));
    }

    public void Save(SqliteTransaction transaction, ConsumerState state) =>
        Set(_upsertConsumer, transaction, state.Consumer, state.Topic, state.Position, MemoryMarshal.AsBytes(state.Unfinished.ToArray().AsSpan()).ToArray());

    public void Remove(SqliteTransaction transaction, ConsumerState consumer)
    {
        using var command = _writer.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = "DELETE FROM consumer WHERE name = $name AND topic = $topic";
        command.Parameters.AddWithValue("$name", consumer.Consumer);
        command.Parameters.AddWithValue("$topic", consumer.Topic);
        command.ExecuteNonQuery();
    }

    /// <summary>The topic with all its messages.</summary>
    public void RemoveTopic(SqliteTransaction transaction, int number)
    {
        Set(_removeMessages, transaction, Key(number, 0), Key(number + 1, 0) - 1);
        using var command = _writer.CreateCommand();
        command.Transaction = transaction;
        command.CommandText = "DELETE FROM topic WHERE number = $number";
        command.Parameters.AddWithValue("$number", number);
        command.ExecuteNonQuery();
    }

    public void RemoveUpTo(SqliteTransaction transaction, int topic, long place) =>
        Set(_removeMessages, transaction, Key(topic, 0), Key(topic, place));

    public void Dispose()
    {
        _insertMessage.Dispose();
        _upsertConsumer.Dispose();
        _removeMessages.Dispose();
        lock (_reading)
            _reader.Dispose();
        _writer.Dispose();
        _ownership.Dispose();
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
                $"The database {path} of pubsub.sqlite is in use by another process, or by a second component of this one. Only one may use it: end the other, or give this one another file.", error);
        }
    }

    private static SqliteConnection Open(string path)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        connection.Open();
        return connection;
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static List<StoredMessage> ReadMessages(SqliteCommand command, long maxBytes)
    {
        using var rows = command.ExecuteReader();
        var messages = new List<StoredMessage>();
        var bytes = 0L;
        while (bytes < maxBytes && rows.Read())
        {
            messages.Add(new(
                rows.GetInt64(0) & ((1L << PlaceBits) - 1),
                new(
                    (byte[])rows.GetValue(3),
                    rows.IsDBNull(1) ? null : rows.GetString(1),
                    rows.IsDBNull(2) ? null : JsonSerializer.Deserialize<Dictionary<string, string>>(rows.GetString(2)))));
            bytes += messages[^1].Message.Data.Length;
        }

        return messages;
    }

    private static byte[] Bytes(ReadOnlyMemory<byte> data) =>
        MemoryMarshal.TryGetArray(data, out var segment) && segment.Offset == 0 && segment.Count == segment.Array!.Length ? segment.Array : data.ToArray();

    private static void Set(SqliteCommand command, SqliteTransaction transaction, params ReadOnlySpan<object?> values)
    {
        command.Transaction = transaction;
        for (var i = 0; i < values.Length; i++)
            command.Parameters[i].Value = values[i] ?? DBNull.Value;
        command.ExecuteNonQuery();
    }

    private SqliteCommand Prepare(string sql, params string[] parameters)
    {
        var command = _writer.CreateCommand();
        command.CommandText = sql;
        foreach (var name in parameters)
            command.Parameters.Add(new SqliteParameter { ParameterName = name });
        return command;
    }
}
