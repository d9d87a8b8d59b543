using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Tests.Simulation;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.EventSourcing.Tests.Store;

/// <summary>An event store over a simulated state store that never fails, with what it published and what other services would answer.</summary>
internal sealed class CalmStore : IStateApi, IEventPublisher, IPublisherStreams, IAsyncDisposable
{
    public static StreamCategory<Ledger, LedgerEvent> Category { get; } = new("ledger", "ledgers", Ledger.Empty, Ledger.After);

    private readonly Lock _lock;
    private readonly SimulatedStore _store;
    private readonly TaskCompletionSource _atGate = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskCompletionSource _morePublished = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="other">An instance that works on the same state store.</param>
    /// <param name="refusal">What the broker answers to an event; null: it takes it.</param>
    public CalmStore(EventStoreOptions? options = null, CalmStore? other = null, Func<RecordedEvent, string?>? refusal = null)
    {
        Refusal = refusal ?? (_ => null);
        (_lock, _store) = other is null ? (new Lock(), new SimulatedStore(StoreClass.Sqlite)) : (other._lock, other._store);
        Types = new EventTypes().AddFamily<LedgerEvent>();
        Store = new EventStore(this, this, this, Types, options ?? new EventStoreOptions(), TimeProvider.System, NullLogger<EventStore>.Instance);
        _ = Store.RunAsync();
    }

    public EventTypes Types { get; }

    public EventStore Store { get; }

    public List<RecordedEvent> Published { get; } = [];

    public List<RecordedEvent> ElsewhereRecorded { get; } = [];

    public int Fetches { get; private set; }

    public int KeysRead { get; private set; }

    /// <summary>Of them those of streams.</summary>
    public int StreamsRead { get; private set; }

    /// <summary>Batches that were written.</summary>
    public int Batches { get; private set; }

    /// <summary>Batches wait for it.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    /// <summary>Completed when a batch has come to the gate.</summary>
    public Task AtGate => _atGate.Task;

    public Func<RecordedEvent, string?> Refusal { get; set; }

    public int PublishCalls { get; private set; }

    public int LargestPublication { get; private set; }

    /// <summary>Completes once what is published is as wanted; more may follow at any time.</summary>
    public async Task UntilPublishedAsync(Func<IReadOnlyList<RecordedEvent>, bool> isWanted, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task more;
            lock (_lock)
            {
                if (isWanted(Published))
                    return;
                more = _morePublished.Task;
            }

            await more.WaitAsync(cancellationToken);
        }
    }

    public int PagesWritten => _store.Keys.Count(key => key.Contains("|page|", StringComparison.Ordinal));

    public Task<Handled<Ledger>> BookAsync(string id, params int[] amounts) => Store.HandleAsync(
        Category, id, _ => new Decision<LedgerEvent>([.. amounts.Select(amount => new Booked(amount, ""))], null), new CommandContext(), default);

    public static IncomingEvent Incoming(long version) =>
        new("elsewhere", Recorded(version), new Booked((int)version, ""));

    public static RecordedEvent Recorded(long version) => new(
        "account-1", version, nameof(Booked), 1, DateTimeOffset.UnixEpoch, null, null,
        System.Text.Json.JsonSerializer.SerializeToElement(new Booked((int)version, ""), EventTypes.Json));

    public Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken) => Task.FromResult(BatchWrites.Atomic);

    public Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) => CallAsync(() =>
    {
        KeysRead++;
        StreamsRead += IsOfStream(key) ? 1 : 0;
        return _store.Get(key);
    });

    public Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<StateValue?>>(() =>
        {
            KeysRead += keys.Count;
            StreamsRead += keys.Count(IsOfStream);
            return [.. keys.Select(_store.Get)];
        });

    public Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken) => CallAsync(() => _store.TrySave(write));

    public async Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        if (!Gate.IsCompleted)
        {
            _atGate.TrySetResult();
            await Gate.WaitAsync(cancellationToken);
        }

        await CallAsync(() =>
        {
            Batches++;
            return _store.Transact(writes);
        });
    }

    public Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken) => CallAsync(() =>
    {
        PublishCalls++;
        if (events.Select(Refusal).FirstOrDefault(refusal => refusal is not null) is { } refusal)
        {
            throw new StoreFault(refusal);
        }

        LargestPublication = Math.Max(LargestPublication, events.Sum(e => e.Bytes));
        Published.AddRange(events);
        _morePublished.SetResult();
        _morePublished = new(TaskCreationOptions.RunContinuationsAsynchronously);
        return true;
    });

    public Task<IReadOnlyList<RecordedEvent>> ReadAsync(
        string publisher, string stream, long after, int limit, CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<RecordedEvent>>(() =>
        {
            Fetches++;
            return [.. ElsewhereRecorded.Where(e => e.Stream == stream && e.Version > after).Take(limit)];
        });

    /// <summary>What is committed is published then, unless the broker refuses it.</summary>
    public async ValueTask DisposeAsync()
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        await Store.StopAsync(patience.Token);
    }

    /// <summary>Nothing is published or written meanwhile.</summary>
    public T Locked<T>(Func<T> effect)
    {
        lock (_lock)
        {
            return effect();
        }
    }

    private static bool IsOfStream(string key) => key.StartsWith("stream|", StringComparison.Ordinal);

    private Task<T> CallAsync<T>(Func<T> effect)
    {
        try
        {
            return Task.FromResult(Locked(effect));
        }
        catch (StoreFault fault)
        {
            return Task.FromException<T>(fault);
        }
    }
}

internal abstract record LedgerEvent;

internal sealed record Booked(int Amount, string Text) : LedgerEvent;

internal sealed record Closed : LedgerEvent;

internal sealed record Ledger(int Balance, int Bookings, bool IsClosed)
{
    public static Ledger Empty { get; } = new(0, 0, false);

    public static Ledger After(Ledger ledger, LedgerEvent happened) => happened switch
    {
        Booked booked => ledger with { Balance = ledger.Balance + booked.Amount, Bookings = ledger.Bookings + 1 },
        Closed => ledger with { IsClosed = true },
        _ => throw new InvalidOperationException($"Unknown event {happened}."),
    };
}
