using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;

namespace EmbeddedSidecar.Components.State.Sqlite;

/// <summary>
/// state.sqlite: durable in one file. A write that was answered is on disk. Writes go through one group-committing writer, reads through
/// connections of their own that see the last commit and wait for nobody.
/// </summary>
internal sealed class SqliteStateStore : IStateStore
{
    private readonly SqliteStateDatabase _database;
    private readonly SqliteStateWriter _writer;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ConcurrentBag<SqliteStateReader> _readers = [];
    private readonly CancellationTokenSource _closing = new();
    private readonly Task _cleaning;

    private SqliteStateStore(SqliteStateOptions options, TimeProvider time, ILogger logger)
    {
        _database = new SqliteStateDatabase(options);
        _writer = new SqliteStateWriter(_database, time);
        _time = time;
        _logger = logger;
        _cleaning = options.CleanupInterval > TimeSpan.Zero ? CleanAsync(options.CleanupInterval, _closing.Token) : Task.CompletedTask;
    }

    public static ComponentType ComponentType { get; } = new(
        "state.sqlite",
        "v1",
        SqliteStateOptions.Fields,
        (metadata, context, _) => Task.FromResult<IAsyncDisposable>(new SqliteStateStore(SqliteStateOptions.Read(metadata), context.Time, context.Logger)))
    {
        Paths = ["connectionString", "url"],
    };

    public IReadOnlyList<string> Capabilities { get; } = ["ETAG", "TRANSACTIONAL", "TTL", "KEYS_LIKE"];

    public bool AnswersKeysOnce => true;

    public int ReadTtl(string text) => StateTtl.ReadStrictly(text);

    public Task<StateEntry?> GetAsync(string key, CancellationToken cancellationToken) =>
        Task.FromResult(Read(reader => reader.Get(key, _time.GetUtcNow())));

    public Task<IReadOnlyList<StateEntry?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<StateEntry?>>(Read(reader => reader.GetMany(keys, _time.GetUtcNow())));

    public Task<IReadOnlyList<StateStoreException?>> WriteAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
        _writer.WriteAsync(writes, cancellationToken);

    public Task TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) => _writer.TransactAsync(writes, cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync();
        await _cleaning;
        await _writer.DisposeAsync();
        while (_readers.TryTake(out var reader))
            reader.Dispose();
        _closing.Dispose();
    }

    private T Read<T>(Func<SqliteStateReader, T> read)
    {
        SqliteStateReader? reader = null;
        try
        {
            if (!_readers.TryTake(out reader))
                reader = new SqliteStateReader(_database);
            var result = read(reader);
            _readers.Add(reader);
            reader = null;
            return result;
        }
        catch (SqliteException e)
        {
            throw new StateStoreException(StateFailure.Other, _database.Explain(e), e);
        }
        finally
        {
            // Only one that failed is still in hand.
            reader?.Dispose();
        }
    }

    private async Task CleanAsync(TimeSpan interval, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(interval, _time);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                try
                {
                    await _writer.RemoveExpiredAsync();
                }
                catch (StateStoreException e)
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
