using System.Collections.Concurrent;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Tests.Store;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.EventSourcing.Tests.Conformance;

/// <summary>A running instance of a service: its event store over a real sidecar, what it published, and the faults that its calls may have.</summary>
internal sealed class Replica : IStateApi, IEventPublisher, IPublisherStreams, IAsyncDisposable
{
    private readonly IStateApi _api;
    private readonly TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ConcurrentDictionary<string, TaskCompletionSource> _published = new();
    private readonly Random _random;
    private int _keysRead;

    public Replica(IStateApi api, string name, EventStoreOptions? options = null, int seed = 0)
    {
        (_api, _random) = (api, new Random(seed));
        Store = new EventStore(
            this, this, this, new EventTypes().AddFamily<LedgerEvent>(), (options ?? new EventStoreOptions()) with { Instance = name },
            TimeProvider.System, NullLogger<EventStore>.Instance);
        _ = Store.RunAsync();
    }

    public EventStore Store { get; }

    /// <summary>How many of the calls take effect, but never answer so.</summary>
    public double LostAnswers { get; set; }

    public bool Publishes { get; set; } = true;

    public int KeysRead => Volatile.Read(ref _keysRead);

    public IEnumerable<string> PublishedIds => _published.Where(e => e.Value.Task.IsCompleted).Select(e => e.Key);

    public Task<Handled<Ledger>> BookAsync(string id, string text, CancellationToken cancel, int count = 1) => Store.HandleAsync(
        CalmStore.Category, id, _ => new Decision<LedgerEvent>([.. Enumerable.Range(0, count).Select(_ => new Booked(1, text))], null), new CommandContext(), cancel);

    public Task HasPublishedAsync(string eventId) => Published(eventId).Task;

    /// <summary>As if the process were killed: nothing it does from now on is seen, and nothing is given back.</summary>
    public void Vanish() => _gone.TrySetResult();

    public Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken) => _api.DescribeAsync(cancellationToken);

    public Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _keysRead);
        return CallAsync(() => _api.GetAsync(key, cancellationToken), cancellationToken);
    }

    public Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        Interlocked.Add(ref _keysRead, keys.Count);
        return CallAsync(() => _api.GetManyAsync(keys, cancellationToken), cancellationToken);
    }

    public Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken) =>
        CallAsync(() => _api.TrySaveAsync(write, cancellationToken), cancellationToken);

    public Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken) => CallAsync(
        async () =>
        {
            await _api.SaveManyAsync(writes, cancellationToken);
            return true;
        },
        cancellationToken);

    public async Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken)
    {
        if (_gone.Task.IsCompleted)
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        if (!Publishes)
            throw new IOException("The broker is away.");
        foreach (var e in events)
            Published(e.Id).TrySetResult();
    }

    public Task<IReadOnlyList<RecordedEvent>> ReadAsync(string publisher, string stream, long after, int limit, CancellationToken cancellationToken) =>
        throw new InvalidOperationException("Nothing is consumed here.");

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        if (_gone.Task.IsCompleted)
            await now.CancelAsync();
        try
        {
            await Store.StopAsync(now.Token);
        }
        catch (OperationCanceledException) when (_gone.Task.IsCompleted)
        {
            Assert.True(_gone.Task.IsCompleted, "only one that vanished does not end in order");
        }
    }

    private async Task<T> CallAsync<T>(Func<Task<T>> call, CancellationToken cancellationToken)
    {
        if (_gone.Task.IsCompleted)
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        var answer = await call();
        if (_gone.Task.IsCompleted)
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
        return Chance() < LostAnswers ? throw new IOException("The answer is lost.") : answer;
    }

    private double Chance()
    {
        lock (_random)
            return _random.NextDouble();
    }

    private TaskCompletionSource Published(string eventId) =>
        _published.GetOrAdd(eventId, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
}
