using Microsoft.Data.Sqlite;

namespace EmbeddedSidecar.Components.State.Sqlite;

/// <summary>
/// The one writer of the file, on a thread of its own, since a commit blocks until the disk has it. Commits in groups: a batch is whatever was
/// queued while the last one was written, so no timer is waited for. A conflict touches nobody else: an independent write that does not
/// match changes no row, and a transaction undoes its own part only. While all match, nothing is kept to undo a part.
/// </summary>
internal sealed class SqliteStateWriter : IAsyncDisposable
{
    private const int MaxWritesPerCommit = 2000;

    private readonly SqliteStateDatabase _database;
    private readonly SqliteConnection _connection;
    private readonly SqliteStateStatements _statements;
    private readonly TimeProvider _time;
    private readonly Thread _thread;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly WriterQueue<PendingWork> _work = new();

    public SqliteStateWriter(SqliteStateDatabase database, TimeProvider time)
    {
        _database = database;
        _time = time;
        _connection = database.OpenWriter();
        _statements = new SqliteStateStatements(_connection, database.Table);
        _thread = new Thread(Run) { IsBackground = true, Name = "state.sqlite writer" };
        _thread.Start();
    }

    public Task<IReadOnlyList<StateStoreException?>> WriteAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
        Enqueue(new IndependentWrites(writes, cancellationToken)).Done;

    public Task TransactAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) =>
        Enqueue(new AtomicWrites(writes, cancellationToken)).Done;

    public Task RemoveExpiredAsync() => Enqueue(new Cleanup()).Done;

    public async ValueTask DisposeAsync()
    {
        _work.Close();
        await _ended.Task;
        _statements.Dispose();
        await _connection.DisposeAsync();
        _work.Dispose();
    }

    private T Enqueue<T>(T work)
        where T : PendingWork
    {
        ObjectDisposedException.ThrowIf(!_work.TryAdd(work), this);
        return work;
    }

    private void Run()
    {
        var batch = new List<PendingWork>();
        while (_work.TakeAll(ref batch))
        {
            for (var next = 0; next < batch.Count;)
                next = CommitFrom(batch, next);
        }

        _ended.SetResult();
    }

    /// <summary>Writes what fits into one commit, and tells where the next one begins.</summary>
    private int CommitFrom(List<PendingWork> batch, int from)
    {
        var next = from;
        StateStoreException? failure = null;
        try
        {
            _statements.Now = _time.GetUtcNow().ToUnixTimeMilliseconds();
            if (!TryRun(undoesAlone: false))
            {
                // A transaction that does not match is rare, and a savepoint for each of the others dear: SQLite then keeps what every page was.
                _statements.Transaction.RollBackIfOpen();
                TryRun(undoesAlone: true);
            }

            _statements.Transaction.Commit();
        }
        catch (Exception e)
        {
            // What came before the failure in this commit is undone with it; when not even the beginning worked, nothing else will.
            failure = new StateStoreException(StateFailure.Other, e is SqliteException sqlite ? _database.Explain(sqlite) : e.Message, e);
            next = next == from ? batch.Count : next;
            _statements.Transaction.RollBackIfOpen();
        }

        for (var i = from; i < next; i++)
            batch[i].Complete(failure);
        return next;

        bool TryRun(bool undoesAlone)
        {
            next = from;
            _statements.Transaction.Begin();
            for (var writes = 0; next < batch.Count && writes < MaxWritesPerCommit;)
            {
                var work = batch[next++];
                writes += work.Count;
                if (work.Begins() && !work.TryRun(_statements, undoesAlone))
                    return false;
            }

            return true;
        }
    }

    private abstract class PendingWork(int count, CancellationToken cancellationToken)
    {
        private bool? _begins;

        public int Count { get; } = count;

        protected CancellationToken CancellationToken => cancellationToken;

        /// <summary>False: given up before it was begun. It stays at that when all are run again.</summary>
        public bool Begins() => _begins ??= !cancellationToken.IsCancellationRequested;

        /// <param name="undoesAlone">What must be undone of it is, and nothing else.</param>
        /// <returns>False: some of it must be undone, with all that was run before it.</returns>
        public abstract bool TryRun(SqliteStateStatements statements, bool undoesAlone);

        /// <summary>After the commit, or with the reason why there was none.</summary>
        public abstract void Complete(StateStoreException? failure);
    }

    private sealed class IndependentWrites(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
        : PendingWork(writes.Count, cancellationToken)
    {
        private readonly TaskCompletionSource<IReadOnlyList<StateStoreException?>> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private StateStoreException?[]? _results;

        public Task<IReadOnlyList<StateStoreException?>> Done => _done.Task;

        public override bool TryRun(SqliteStateStatements statements, bool undoesAlone)
        {
            var results = new StateStoreException?[writes.Count];
            for (var i = 0; i < results.Length; i++)
                results[i] = statements.Apply(writes[i]) ? null : StateStoreException.Mismatch();
            _results = results;
            return true;
        }

        public override void Complete(StateStoreException? failure)
        {
            if (failure is not null)
                _done.SetResult([.. writes.Select(_ => failure)]);
            else if (_results is not null)
                _done.SetResult(_results);
            else
                _done.SetCanceled(CancellationToken);
        }
    }

    private sealed class AtomicWrites(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) : PendingWork(writes.Count, cancellationToken)
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool? _matched;

        public Task Done => _done.Task;

        public override bool TryRun(SqliteStateStatements statements, bool undoesAlone)
        {
            var isUndoable = undoesAlone && writes.Count > 1;
            if (isUndoable)
                statements.OpenSavepoint();
            var applied = 0;
            while (applied < writes.Count && statements.Apply(writes[applied]))
                applied++;
            _matched = applied == writes.Count;
            if (isUndoable)
                statements.CloseSavepoint(keep: _matched.Value);
            return _matched.Value || isUndoable || applied == 0;
        }

        public override void Complete(StateStoreException? failure)
        {
            if (failure is not null)
                _done.SetException(failure);
            else if (_matched is null)
                _done.SetCanceled(CancellationToken);
            else if (_matched.Value)
                _done.SetResult();
            else
                _done.SetException(StateStoreException.Mismatch());
        }
    }

    private sealed class Cleanup() : PendingWork(1, CancellationToken.None)
    {
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task Done => _done.Task;

        public override bool TryRun(SqliteStateStatements statements, bool undoesAlone)
        {
            statements.RemoveExpired();
            return true;
        }

        public override void Complete(StateStoreException? failure)
        {
            if (failure is null)
                _done.SetResult();
            else
                _done.SetException(failure);
        }
    }
}
