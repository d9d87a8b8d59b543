using Dapr.Actors;
using Dapr.Actors.Client;
using Microsoft.Extensions.Options;

namespace DaprOrders.Ordering.Deadlines;

/// <summary>
/// Registers orders with the actor of their time bucket. What queues while one batch is on its way makes the next one, so an order waits
/// for about one call, and a thousand orders cost no more calls than one.
/// </summary>
public sealed class DeadlineRegistrar(
    IActorProxyFactory actors, IOptions<OrderingOptions> options, TimeProvider time, ILogger<DeadlineRegistrar> logger) : BackgroundService
{
    internal const int MostInOneBatch = 1000;
    internal const int MostWaiting = 100_000;

    private static readonly TimeSpan CallTimeout = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);

    // Numbers start again with the process, so every process has actors of its own.
    private readonly string _shard = Guid.NewGuid().ToString("N")[..12];
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _arrived = new(0);
    private readonly Queue<Waiting> _waiting = new();
    private bool _failing;
    private DateTimeOffset _bucketEnd;
    private int _number;

    /// <summary>
    /// Completes when the order's deadline is durable. While the actors cannot be reached it completes at once: orders are taken, and their
    /// deadlines follow as soon as it is possible again.
    /// </summary>
    /// <exception cref="ServiceUnavailableException">Too many are waiting: orders must be refused until they are registered.</exception>
    public Task RegisterAsync(string orderId)
    {
        lock (_lock)
        {
            if (_waiting.Count >= MostWaiting)
                throw new ServiceUnavailableException("deadlines", $"{MostWaiting} orders wait for their payment deadline to be registered.");

            var waiting = new Waiting(orderId);
            if (_failing)
                waiting.Registered.SetResult();
            _waiting.Enqueue(waiting);
            if (_waiting.Count == 1)
                _arrived.Release();
            return waiting.Registered.Task;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (true)
        {
            await _arrived.WaitAsync(stoppingToken);
            while (TakeBatch() is { Count: > 0 } batch)
                await SendAsync(batch, stoppingToken);
        }
    }

    private List<Waiting> TakeBatch()
    {
        lock (_lock)
        {
            var batch = new List<Waiting>(Math.Min(_waiting.Count, MostInOneBatch));
            while (batch.Count < MostInOneBatch && _waiting.TryDequeue(out var waiting))
                batch.Add(waiting);
            return batch;
        }
    }

    private async Task SendAsync(List<Waiting> batch, CancellationToken stoppingToken)
    {
        var next = NextBatch([.. batch.Select(waiting => waiting.OrderId)]);
        var actor = actors.CreateActorProxy<IDeadlineActor>(new ActorId(DeadlineBuckets.ActorIdOf(_bucketEnd, _shard)), nameof(DeadlineActor));
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await actor.RegisterAsync(next).WaitAsync(CallTimeout, time, stoppingToken);
                Settle(batch, failing: false);
                return;
            }
            catch (Exception exception) when (!stoppingToken.IsCancellationRequested)
            {
                Settle(batch, failing: true);
                logger.LogError(
                    exception,
                    "The payment deadlines of {Orders} orders could not be registered (attempt {Attempt}); tried again until they are",
                    batch.Count,
                    attempt);
                await Task.Delay(PauseAfter(attempt), time, stoppingToken);
            }
        }
    }

    private DeadlineBatch NextBatch(IReadOnlyList<string> orderIds)
    {
        var bucketEnd = DeadlineBuckets.EndOf(time.GetUtcNow(), options.Value.BucketWidth);
        _number = bucketEnd == _bucketEnd ? _number + 1 : 1;
        _bucketEnd = bucketEnd;
        return new(_number, bucketEnd + options.Value.VisitEvery, orderIds);
    }

    private void Settle(List<Waiting> batch, bool failing)
    {
        lock (_lock)
        {
            _failing = failing;
            if (failing)
                batch = [.. batch, .. _waiting];
        }

        foreach (var waiting in batch)
            waiting.Registered.TrySetResult();
    }

    private static TimeSpan PauseAfter(int attempt) =>
        TimeSpan.FromSeconds(Math.Min(0.1 * Math.Pow(2, attempt), LongestPause.TotalSeconds));

    public override void Dispose()
    {
        _arrived.Dispose();
        base.Dispose();
    }

    private sealed record Waiting(string OrderId)
    {
        public TaskCompletionSource Registered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
