using EmbeddedSidecar.Components.PostgreSql;
using Npgsql;
using NpgsqlTypes;

namespace EmbeddedSidecar.Components.State.PostgreSql;

/// <summary>state.postgresql: real transactions. v1 and v2 differ in their tables, and so in their statements.</summary>
internal sealed class PostgresStateStore : IStateStore
{
    private const string NothingChanged = "no item was updated";

    private const int CallsAtOnce = 2;
    private const int RequestsInCall = 64;
    private const int MostWritesOfGathered = 8;

    /// <summary>Those that go out together wait for a lock so long at most. Then each waits alone, and holds up no other.</summary>
    private const string PatienceOfGathered = "SELECT set_config('lock_timeout', '100ms', true)";

    private readonly NpgsqlDataSource _database;
    private readonly Gathered<string, StateEntry?> _gets;
    private readonly Gathered<IReadOnlyList<StateWrite>, StateStoreException?> _writes;
    private readonly PostgresStateTable _table;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _closing = new();
    private readonly Task _cleaning;

    private PostgresStateStore(NpgsqlDataSource database, PostgresStateTable table, TimeSpan cleanupInterval, ComponentContext context)
    {
        (_database, _table, _time, _logger) = (database, table, context.Time, context.Logger);
        _gets = new(keys => GetManyAsync(keys, CancellationToken.None), CallsAtOnce, RequestsInCall)
        {
            IsOfOneRequest = IsOfStatement,
            Alone = async (key, cancellationToken) => (await GetManyAsync([key], cancellationToken))[0],
        };
        _writes = new(groups => WriteGroupsAsync(groups, CancellationToken.None, PatienceOfGathered), CallsAtOnce, RequestsInCall)
        {
            IsOfOneRequest = IsOfStatement,
            Alone = async (group, cancellationToken) => (await WriteGroupsAsync([group], cancellationToken))[0],
        };
        _cleaning = cleanupInterval > TimeSpan.Zero ? CleanAsync(cleanupInterval, _closing.Token) : Task.CompletedTask;
    }

    public static ComponentType Version1 { get; } = TypeOf("v1", PostgresStateTable1.Fields, PostgresStateTable1.Read);

    public static ComponentType Version2 { get; } = TypeOf("v2", PostgresStateTable2.Fields, PostgresStateTable2.Read);

    public IReadOnlyList<string> Capabilities => _table.Capabilities;

    public bool AnswersKeysOnce => true;

    public bool RefusesUnknownOptions(bool ofDelete, bool inTransaction) => !ofDelete;

    public int ReadTtl(string text) => StateTtl.ReadStrictly(text);

    public Task<StateEntry?> GetAsync(string key, CancellationToken cancellationToken) => _gets.AskAsync(key, cancellationToken);

    public async Task<IReadOnlyList<StateEntry?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = _database.CreateCommand(_table.Get);
            command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = [.. keys], NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Text });
            await using var rows = await command.ExecuteReaderAsync(cancellationToken);
            var found = new Dictionary<string, StateEntry>(keys.Count);
            while (await rows.ReadAsync(cancellationToken))
            {
                DateTimeOffset? expiry = rows.IsDBNull(3) ? null : rows.GetFieldValue<DateTimeOffset>(3);
                found[rows.GetString(0)] = new StateEntry(rows.GetFieldValue<byte[]>(1), rows.GetString(2), expiry);
            }

            return [.. keys.Select(key => found.GetValueOrDefault(key))];
        }
        catch (NpgsqlException e)
        {
            throw Failure(e);
        }
    }

    public async Task<IReadOnlyList<StateStoreException?>> WriteAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        if (writes.Count == 1)
            return [await WriteAsync(writes[0], cancellationToken)];

        var results = writes.Select(_table.MalformedTag).ToArray();
        int[] sent = [.. Enumerable.Range(0, results.Length).Where(i => results[i] is null)];
        try
        {
            var rows = await ExecuteAsync([.. sent.Select(i => writes[i])], cancellationToken);
            for (var i = 0; i < sent.Length; i++)
                results[sent[i]] = Refusal(writes[sent[i]], rows[i]);
        }
        catch (StateStoreException e) when (IsOfStatement(e))
        {
            // One that the server cannot take undoes the others, which have nothing to do with it. What ends a connection leaves open what was done.
            foreach (var i in sent)
                results[i] = await WriteAsync(writes[i], cancellationToken);
        }
        catch (StateStoreException e)
        {
            foreach (var i in sent)
                results[i] = e;
        }

        return results;
    }

    /// <summary>Each a write, or the writes of a transaction without conditions, to which nothing can happen but a failure of all.</summary>
    /// <exception cref="StateStoreException">Nothing was written, or it is not known.</exception>
    private async Task<IReadOnlyList<StateStoreException?>> WriteGroupsAsync(
        IReadOnlyList<IReadOnlyList<StateWrite>> groups, CancellationToken cancellationToken, string? before = null)
    {
        var rows = await ExecuteAsync([.. groups.SelectMany(group => group)], cancellationToken, before);
        var results = new StateStoreException?[groups.Count];
        for (var (i, row) = (0, 0); i < results.Length; row += groups[i].Count, i++)
            results[i] = groups[i] is [var single] ? Refusal(single, rows[row]) : null;
        return results;
    }

    /// <summary>One commit of the server for all, and one time to wait for their locks. A write whose condition does not hold changes no row and touches no other.</summary>
    /// <returns>How many rows each has changed.</returns>
    /// <exception cref="StateStoreException">Nothing was written, or it is not known.</exception>
    private async Task<int[]> ExecuteAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken, string? before = null)
    {
        // Two batches that lock rows in one order cannot wait for each other; what is written twice is so in the order in which it came.
        int[] order = [.. Enumerable.Range(0, writes.Count).OrderBy(i => writes[i].Key, StringComparer.Ordinal)];
        var rows = new int[writes.Count];
        if (rows.Length == 0)
            return rows;
        try
        {
            await using var batch = _database.CreateBatch();
            if (before is not null)
                batch.BatchCommands.Add(new NpgsqlBatchCommand(before));
            foreach (var i in order)
                batch.BatchCommands.Add(CommandOf(writes[i]));
            await batch.ExecuteNonQueryAsync(cancellationToken);
            var first = before is null ? 0 : 1;
            for (var i = 0; i < order.Length; i++)
                rows[order[i]] = batch.BatchCommands[first + i].RecordsAffected;
            return rows;
        }
        catch (NpgsqlException e)
        {
            throw Failure(e);
        }
    }

    private NpgsqlBatchCommand CommandOf(StateWrite write)
    {
        var (sql, parameters) = _table.Of(write);
        var command = new NpgsqlBatchCommand(sql);
        command.Parameters.AddRange(parameters);
        return command;
    }

    /// <summary>
    /// A single operation needs no BEGIN, nor do several without a condition: a batch is all or nothing by itself. The others go in the order of their keys, so
    /// that two transactions cannot wait for each other.
    /// </summary>
    public async Task TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        if (writes.Count == 1)
        {
            if (await WriteAsync(writes[0], cancellationToken) is { } failure)
                throw failure;
        }
        else if (writes.Any(write => write is { ETag.Length: > 0 } or { FirstWrite: true }))
        {
            await TransactConditionallyAsync([.. writes.OrderBy(write => write.Key, StringComparer.Ordinal)], cancellationToken);
        }
        else if (writes.Count <= MostWritesOfGathered)
        {
            await _writes.AskAsync(writes, cancellationToken);
        }
        else
        {
            await ExecuteAsync(writes, cancellationToken);
        }
    }

    private async Task TransactConditionallyAsync(IReadOnlyList<StateWrite> ordered, CancellationToken cancellationToken)
    {
        if (ordered.Select(_table.MalformedTag).FirstOrDefault(malformed => malformed is not null) is { } refused)
            throw refused;
        try
        {
            await using var connection = await _database.OpenConnectionAsync(cancellationToken);
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            await using var batch = new NpgsqlBatch(connection, transaction);
            foreach (var write in ordered)
                batch.BatchCommands.Add(CommandOf(write));

            await batch.ExecuteNonQueryAsync(cancellationToken);
            for (var i = 0; i < ordered.Count; i++)
            {
                // Left without a commit, the transaction is rolled back.
                if (Refusal(ordered[i], batch.BatchCommands[i].RecordsAffected) is { } refusal)
                    throw refusal;
            }

            await transaction.CommitAsync(cancellationToken);
        }
        catch (NpgsqlException e)
        {
            throw Failure(e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _cleaning;
        await _database.DisposeAsync();
        _closing.Dispose();
    }

    private static ComponentType TypeOf(string version, IReadOnlyList<string> fields, Func<ComponentMetadata, PostgresStateTable> table) => new(
        "state.postgresql", version, [.. PostgresStateOptions.Fields, .. fields],
        (metadata, context, cancellationToken) => CreateAsync(PostgresStateOptions.Read(metadata), table(metadata), context, cancellationToken))
    {
        Absent = PostgresConnection.Absent,
        ServerFields = PostgresConnection.ServerFields,
    };

    private static async Task<IAsyncDisposable> CreateAsync(
        PostgresStateOptions options, PostgresStateTable table, ComponentContext context, CancellationToken cancellationToken)
    {
        var database = NpgsqlDataSource.Create(options.Connection);
        try
        {
            await MakeTableReadyAsync(database, table, cancellationToken);
            return new PostgresStateStore(database, table, options.CleanupInterval, context);
        }
        catch (NpgsqlException e)
        {
            await database.DisposeAsync();
            throw new InvalidOperationException($"PostgreSQL at {options.Connection.Host}:{options.Connection.Port}: {Text(e)}", e);
        }
        catch
        {
            await database.DisposeAsync();
            throw;
        }
    }

    /// <summary>Nothing is touched where the table is there: daprd adds columns of its own.</summary>
    /// <exception cref="InvalidOperationException">It is there, and another one.</exception>
    private static async Task MakeTableReadyAsync(NpgsqlDataSource database, PostgresStateTable table, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        // Two that create one table at once (of v1 also that of the migrations, which tables share) would trip over each other, IF NOT EXISTS or not.
        await using var locking = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtext('dapr state'))", connection, transaction);
        await locking.ExecuteNonQueryAsync(cancellationToken);

        var columns = await ColumnsAsync(connection, table.Name, cancellationToken);
        if (columns.Count > 0)
        {
            table.Check(columns);
            return;
        }

        await using var creating = new NpgsqlCommand(table.Create, connection, transaction);
        await creating.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>The types of the columns, by name; none where there is no such table.</summary>
    private static async Task<Dictionary<string, string>> ColumnsAsync(NpgsqlConnection connection, string table, CancellationToken cancellationToken)
    {
        await using var looking = new NpgsqlCommand(
            "SELECT attname::text, atttypid::regtype::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped", connection);
        looking.Parameters.Add(new NpgsqlParameter<string> { TypedValue = table });
        await using var rows = await looking.ExecuteReaderAsync(cancellationToken);
        var columns = new Dictionary<string, string>();
        while (await rows.ReadAsync(cancellationToken))
            columns[rows.GetString(0)] = rows.GetString(1);
        return columns;
    }

    private async Task<StateStoreException?> WriteAsync(StateWrite write, CancellationToken cancellationToken)
    {
        if (_table.MalformedTag(write) is { } malformed)
            return malformed;
        try
        {
            return await _writes.AskAsync([write], cancellationToken);
        }
        catch (StateStoreException e)
        {
            return e;
        }
    }

    private static StateStoreException? Refusal(StateWrite write, int rows) =>
        rows == 1 ? null
        : write.ETag is { Length: > 0 } ? StateStoreException.Mismatch()
        : write is StateUpsert ? new StateStoreException(StateFailure.Other, NothingChanged)
        : null;

    /// <summary>The server refuses what it was asked, and is there for the next.</summary>
    private static bool IsOfStatement(Exception e) => e.InnerException is PostgresException { InvariantSeverity: "ERROR" };

    private static StateStoreException Failure(NpgsqlException e) => new(StateFailure.Other, Text(e), e);

    private static string Text(NpgsqlException e) =>
        e is PostgresException refused ? $"{refused.InvariantSeverity}: {refused.MessageText} (SQLSTATE {refused.SqlState})" : e.Message;

    private async Task CleanAsync(TimeSpan interval, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(interval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                try
                {
                    await using var command = _database.CreateCommand(_table.RemoveExpired);
                    var removed = await command.ExecuteNonQueryAsync(cancellationToken);
                    _logger.LogDebug("{Count} expired entries removed", removed);
                }
                catch (NpgsqlException e)
                {
                    _logger.LogWarning(e, "Expired state could not be removed: {Reason}", e.Message);
                }
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            _logger.LogDebug("The cleaning of expired state ends");
        }
    }
}
