using System.Collections.Immutable;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Hosting;
using Microsoft.Data.Sqlite;

namespace EmbeddedSidecar.Jobs;

/// <summary>A job of this name exists, and the request did not ask to replace it.</summary>
internal sealed class JobExistsException(JobKey key) : Exception($"job already exists: '{key}'");

/// <summary>
/// Takes a job to its application. False: it failed there, and the job's failure policy says what follows. Cancelled (<see cref="OperationCanceledException"/>):
/// this replica is going, and the call does not count.
/// </summary>
internal delegate Task<bool> JobConsumer(Job job);

/// <summary>
/// The jobs of all applications: what the Scheduler service is to a daprd. A job is called at least once for each time that it is due, by one of
/// the replicas of its application, in turn: what the process had not noted when it ended is called again, and what is due waits for a replica.
/// </summary>
/// <param name="file">Null: the jobs last as long as the process.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Tells what could not be noted.</param>
internal sealed class JobScheduler(string? file, TimeProvider time, ILogger logger) : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly SortedDictionary<string, Running> _jobs = new(StringComparer.Ordinal);
    private JobStore? _store;
    private ImmutableArray<(JobOwner Owner, JobConsumer Consumer)> _consumers = [];
    private TaskCompletionSource _joined = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _turn;

    private sealed class Running(JobRecord record)
    {
        /// <summary>Changed only under the gate, together with the store.</summary>
        public JobRecord Record { get; set; } = record;

        public CancellationTokenSource Removed { get; } = new();

        public Task Work { get; set; } = Task.CompletedTask;
    }

    /// <summary>Takes up what the file keeps, if there is one: it is made with the first job.</summary>
    /// <exception cref="IOException">It cannot be opened.</exception>
    public void Start()
    {
        lock (_gate)
        {
            if (file is null || !File.Exists(file))
                return;
            _store = new(file);
            foreach (var record in _store.Load())
                Run(new(record));
        }
    }

    /// <summary>Is on disk when it returns.</summary>
    /// <exception cref="FormatException">The job makes no sense.</exception>
    /// <exception cref="JobExistsException"/>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    public void Schedule(JobKey key, Job job, bool overwrite)
    {
        var record = JobRecord.Create(key, job, time.GetUtcNow());
        lock (_gate)
        {
            if (_jobs.TryGetValue(key.ToString(), out var old) && !overwrite)
                throw new JobExistsException(key);
            if (file is not null)
                (_store ??= new(file)).Save(record);
            old?.Removed.Cancel();
            Run(new(record));
        }
    }

    public Job? Find(JobKey key)
    {
        lock (_gate)
            return _jobs.TryGetValue(key.ToString(), out var job) ? job.Record.Job : null;
    }

    /// <summary>Whose names begin so, by their names.</summary>
    public IReadOnlyList<JobRecord> List(JobOwner owner, string prefix)
    {
        lock (_gate)
        {
            return [.. _jobs.Values.Select(job => job.Record)
                .Where(record => record.Key.Owner == owner && record.Key.Name.StartsWith(prefix, StringComparison.Ordinal))];
        }
    }

    /// <summary>Deleting what is not there is fine. A call that is under way goes on.</summary>
    public void Delete(JobKey key)
    {
        lock (_gate)
        {
            if (!_jobs.TryGetValue(key.ToString(), out var job))
                return;
            _store?.Remove(key);
            _jobs.Remove(key.ToString());
            job.Removed.Cancel();
        }
    }

    public void Join(JobOwner owner, JobConsumer consumer)
    {
        lock (_gate)
        {
            _consumers = _consumers.Add((owner, consumer));
            _joined.SetResult();
            _joined = new(TaskCreationOptions.RunContinuationsAsynchronously);
        }
    }

    public void Leave(JobConsumer consumer)
    {
        lock (_gate)
            _consumers = _consumers.RemoveAll(each => each.Consumer == consumer);
    }

    /// <summary>After all consumers left.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        Task[] running;
        lock (_gate)
            running = [.. _jobs.Values.Select(job => job.Work)];
        await Task.WhenAll(running);
        _store?.Dispose();
        _stopping.Dispose();
    }

    private void Run(Running job)
    {
        _jobs[job.Record.Key.ToString()] = job;
        job.Work = Task.Run(() => RunAsync(job));
    }

    private async Task RunAsync(Running job)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(job.Removed.Token, _stopping.Token);
        try
        {
            while (job.Record.Next() is { } due)
            {
                for (var at = due; ;)
                {
                    await time.WaitUntilAsync(at, end.Token);
                    var done = await CallAsync(job, end.Token);
                    var failed = job.Record with { Progress = job.Record.Progress.AfterFailure() };
                    if (done || failed.RetryAfter() is not { } interval)
                        break;
                    Note(job, failed);
                    at += interval;
                }

                Note(job, job.Record with { Progress = job.Record.Progress.AfterFiring(due) });
            }

            lock (_gate)
            {
                if (!job.Removed.IsCancellationRequested)
                    Delete(job.Record.Key);
            }
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested)
        {
            // Deleted, replaced, or the process ends.
        }
        catch (Exception e)
        {
            logger.LogError(e, "Job {Job} is called no more until the next start", job.Record.Key);
        }
    }

    private async Task<bool> CallAsync(Running job, CancellationToken cancellationToken)
    {
        while (true)
        {
            var consumer = await NextConsumerAsync(job.Record.Key.Owner, cancellationToken);
            try
            {
                return await consumer(job.Record.Job);
            }
            catch (OperationCanceledException)
            {
                // The replica went: another one takes the job, or the same when it is back.
            }
        }
    }

    private async Task<JobConsumer> NextConsumerAsync(JobOwner owner, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task joined;
            lock (_gate)
            {
                var consumers = _consumers.RemoveAll(each => each.Owner != owner);
                if (consumers.Length > 0)
                    return consumers[(int)((uint)_turn++ % (uint)consumers.Length)].Consumer;
                joined = _joined.Task;
            }

            await joined.WaitAsync(cancellationToken);
        }
    }

    /// <summary>What the store cannot note now is noted with the next call, or is called again after a restart.</summary>
    private void Note(Running job, JobRecord record)
    {
        lock (_gate)
        {
            job.Removed.Token.ThrowIfCancellationRequested();
            job.Record = record;
            try
            {
                _store?.Note(record);
            }
            catch (SqliteException e)
            {
                logger.LogError(e, "Job {Job} was called, which could not be noted", record.Key);
            }
        }
    }
}
