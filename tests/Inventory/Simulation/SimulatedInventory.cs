using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Tests.Simulation;
using DaprOrders.Inventory.ReservingStock;
using DaprOrders.Inventory.Stock;
using DaprOrders.Tests;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Inventory.Tests.Simulation;

/// <summary>How often which fault strikes a call; none once the run is to come to rest.</summary>
internal sealed class InventoryFaults
{
    public double Fail { get; set; }

    /// <summary>The process ends, before or after the call's effect.</summary>
    public double Crash { get; set; }

    /// <summary>A call to a stock takes half a minute, and its caller gives up.</summary>
    public double Stall { get; set; }

    public void End() => (Fail, Crash, Stall) = (0, 0, 0);
}

/// <summary>A running Inventory whose calls the seed fails, delays, or ends the process at.</summary>
internal sealed class SimulatedInventory : IStateApi, IEventPublisher, IPublisherStreams, IHostApplicationLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly World _world;
    private readonly SimulatedStore _store;
    private readonly InventoryFaults _faults;
    private readonly IReadOnlyDictionary<string, OrderStream> _orders;
    private readonly TaskCompletionSource _never = new();

    public SimulatedInventory(
        World world,
        SimulatedStore store,
        InventoryFaults faults,
        string name,
        IReadOnlyDictionary<string, OrderStream> orders,
        Func<IStateApi, IStateApi> mutate)
    {
        (_world, _store, _faults, _orders) = (world, store, faults, orders);
        var options = new EventStoreOptions
        {
            Instance = name,
            CallTimeout = TimeSpan.FromSeconds(2),
            CommitTimeout = TimeSpan.FromSeconds(6),
            TipEvents = 3,
        };
        Store = new EventStore(mutate(this), this, this, Types, options, world, NullLogger<EventStore>.Instance);
        Stock = new StockItems((sku, commands, _) => CallStockAsync(sku, commands), this);
        Orders = new GoodsForOrders(Store, Stock);
        _ = Store.RunAsync();
    }

    public static EventTypes Types { get; } = new EventTypes().AddFamily<ReservationEvent>().AddFamily<StockEvent>().AddFamily<OrderEvent>();

    public EventStore Store { get; }

    public StockItems Stock { get; }

    public GoodsForOrders Orders { get; }

    public bool IsKilled { get; private set; }

    CancellationToken IHostApplicationLifetime.ApplicationStarted => default;

    CancellationToken IHostApplicationLifetime.ApplicationStopping => default;

    CancellationToken IHostApplicationLifetime.ApplicationStopped => default;

    public Task<BatchWrites> DescribeAsync(CancellationToken cancellationToken) =>
        Task.FromResult(_store.Kind is StoreClass.Sqlite or StoreClass.Postgres ? BatchWrites.Atomic : BatchWrites.Separate);

    public Task<StateValue?> GetAsync(string key, CancellationToken cancellationToken) => CallAsync(() => _store.Get(key));

    public Task<IReadOnlyList<StateValue?>> GetManyAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<StateValue?>>(() => [.. keys.Select(_store.Get)]);

    public Task<bool> TrySaveAsync(StateWrite write, CancellationToken cancellationToken) => CallAsync(() => _store.TrySave(write));

    public async Task SaveManyAsync(IReadOnlyList<StateWrite> writes, CancellationToken cancellationToken)
    {
        if (await DescribeAsync(cancellationToken) == BatchWrites.Atomic)
        {
            await CallAsync(() => _store.Transact(writes));
        }
        else if ((await Task.WhenAll(writes.Select(write => TrySaveAsync(write, cancellationToken)))).Contains(false))
        {
            throw new StoreFault("one of the writes was refused");
        }
    }

    public Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken) => CallAsync(() => true);

    public Task<IReadOnlyList<RecordedEvent>> ReadAsync(string publisher, string stream, long after, int limit, CancellationToken cancellationToken) =>
        CallAsync<IReadOnlyList<RecordedEvent>>(() => [.. _orders[stream].Recorded.Where(recorded => recorded.Version > after).Take(limit)]);

    public void StopApplication() => IsKilled = true;

    private async Task<StockAnswer[]> CallStockAsync(string sku, StockCommand[] commands)
    {
        await AliveAsync();
        var answers = await ApplyAsync(sku, commands).WaitAsync(Patience, _world);
        await AliveAsync();
        return _world.Chance(_faults.Fail) ? throw new EventStoreUnavailableException("The answer is lost.") : answers;
    }

    // Goes on by itself when the caller has given up.
    private async Task<StockAnswer[]> ApplyAsync(string sku, StockCommand[] commands)
    {
        await _world.DelayAsync(_world.Chance(_faults.Stall) ? 40_000 : 20);
        return await StockItems.ApplyAsync(Store, sku, commands, default);
    }

    private async Task<T> CallAsync<T>(Func<T> effect)
    {
        await AliveAsync();
        await _world.DelayAsync(5);
        await MayCrashAsync();
        if (_world.Chance(_faults.Fail / 2))
        {
            throw new StoreFault("failed before its effect");
        }

        var result = effect();
        await MayCrashAsync();
        if (_world.Chance(_faults.Fail / 2))
        {
            throw new StoreFault("failed after its effect");
        }

        await _world.DelayAsync(5);
        await AliveAsync();
        return result;
    }

    private Task MayCrashAsync()
    {
        IsKilled |= _world.Chance(_faults.Crash);
        return AliveAsync();
    }

    // Whoever is killed goes no further.
    private Task AliveAsync() => IsKilled ? _never.Task : Task.CompletedTask;
}
