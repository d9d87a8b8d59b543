using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.State;
using DaprOrders.EventSourcing.Tests.Simulation;
using DaprOrders.Inventory.ReservingStock;
using DaprOrders.Inventory.Stock;
using DaprOrders.Tests;

namespace DaprOrders.Inventory.Tests.Simulation;

/// <summary>
/// One simulated run: orders of one to three lines compete for little stock; some are cancelled at any moment, the others are shipped once they are
/// reserved. Each event is delivered again and again until it is acknowledged, and some more, in bulks cut at random, in any order, to either of two
/// instances, which end between any two calls. When all is quiet, the stock must be what the reservations say.
/// </summary>
internal sealed class InventoryRun
{
    private const int Instances = 2;
    private const long MaxSteps = 2_000_000;

    private static readonly TimeSpan ComesToRest = TimeSpan.FromMinutes(1);

    private readonly World _world;
    private readonly SimulatedStore _store;
    private readonly InventoryFaults _faults;
    private readonly Func<IStateApi, IStateApi> _mutate;
    private readonly SimulatedInventory[] _instances = new SimulatedInventory[Instances];
    private readonly Dictionary<string, OrderStream> _orders = [];
    private readonly string[] _skus;

    public InventoryRun(int seed, StoreClass kind, Func<IStateApi, IStateApi>? mutate = null)
    {
        _world = new World(seed);
        _store = new SimulatedStore(kind);
        _mutate = mutate ?? (api => api);
        _skus = [.. new[] { "a", "b", "c" }.Take(1 + _world.Random.Next(3))];
        var level = Math.Pow(_world.Random.NextDouble(), 2) * 0.1;
        _faults = new InventoryFaults { Fail = level, Crash = level / 3, Stall = _world.Chance(0.5) ? _world.Random.NextDouble() * 0.4 : 0 };
    }

    public int Crashes { get; private set; }

    public Dictionary<Type, int> Outcomes { get; } = [];

    public void Execute() => _world.Run(ExecuteAsync, MaxSteps);

    private async Task ExecuteAsync()
    {
        for (var i = 0; i < Instances; i++)
        {
            Start(i);
        }

        var work = Task.WhenAll([.. _skus.Select(ReceiveAsync), .. Enumerable.Range(1, 2 + _world.Random.Next(8)).Select(OrderAsync)]);
        while (!work.IsCompleted)
        {
            await Task.WhenAny(work, _world.DelayAsync(1_000));
            for (var i = 0; i < Instances; i++)
            {
                if (_instances[i].IsKilled)
                {
                    Crashes++;
                    Start(i);
                }
            }

            // So that a run with many crashes ends.
            if (_world.GetTimestamp() > TimeSpan.FromMinutes(5).Ticks)
            {
                _faults.End();
            }
        }

        await work;
        _faults.End();
        await Task.Delay(ComesToRest, _world);
        await CheckAsync(NewInstance("reader"));
    }

    private void Start(int i) => _instances[i] = NewInstance($"instance-{i}");

    private SimulatedInventory NewInstance(string name) => new(_world, _store, _faults, name, _orders, _mutate);

    private SimulatedInventory Living() => _instances[_world.Random.Next(Instances)];

    private Task ReceiveAsync(string sku)
    {
        var quantity = 1 + _world.Random.Next(12);
        return UntilDoneAsync(inventory => inventory.Stock.SendAsync(sku, new StockCommand.Receive("r", quantity), default));
    }

    private async Task OrderAsync(int number)
    {
        await _world.DelayAsync(3_000);
        var order = new OrderStream($"o{number}");
        _orders.Add($"order-{order.OrderId}", order);
        order.Created([.. _skus.OrderBy(_ => _world.Random.Next()).Take(1 + _world.Random.Next(3)).Select(sku => (sku, 1 + _world.Random.Next(4)))]);
        var deliveries = new List<Task> { DeliverAsync(order, 1) };
        var reservation = await (_world.Chance(0.4) ? Task.FromResult<Reservation?>(null) : DecidedAsync(order));
        if (reservation is Reservation.Reserved && _world.Chance(0.7))
        {
            order.StockReserved().Paid();
            await _world.DelayAsync(500);
            deliveries.Add(DeliverAsync(order.Shipped(), 4));
        }
        else if (reservation is not Reservation.Reserved)
        {
            await _world.DelayAsync(200);
            deliveries.Add(DeliverAsync(order.Cancelled(), 2));
        }

        await Task.WhenAll(deliveries);
    }

    private async Task<Reservation?> DecidedAsync(OrderStream order)
    {
        while (true)
        {
            await _world.DelayAsync(100);
            var read = await UntilDoneAsync(inventory => inventory.Store.LoadAsync(Reservation.Category, order.OrderId, default));
            if (read.Exists)
            {
                return read.State;
            }
        }
    }

    // One delivery is repeated until it is acknowledged; the others come when they like, and may fail.
    private Task DeliverAsync(OrderStream order, int version) => Task.WhenAll(
        [UntilDoneAsync(inventory => HandleAsync(inventory, order, version)), .. Enumerable.Range(0, _world.Random.Next(3)).Select(async _ =>
        {
            await _world.DelayAsync(_world.Chance(0.5) ? 100 : 20_000);
            await TryAsync(inventory => HandleAsync(inventory, order, version));
        })]);

    private async Task<bool> HandleAsync(SimulatedInventory inventory, OrderStream order, int version)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(_world.Random.Next(1, 40)), _world);
        var bulk = order.Recorded.Where(recorded => recorded.Version == version || _world.Chance(0.3));
        await inventory.Orders.HandleAsync(
            [.. bulk.Select(recorded => new IncomingEvent("ordering", recorded, SimulatedInventory.Types.Read(recorded)))], patience.Token);
        return true;
    }

    private async Task<T> UntilDoneAsync<T>(Func<SimulatedInventory, Task<T>> call)
    {
        while (true)
        {
            if (await TryAsync(call) is { IsDone: true } done)
            {
                return done.Answer!;
            }

            await _world.DelayAsync(2_000);
        }
    }

    // Who is killed answers no more, and what it may have answered does not arrive.
    private async Task<(bool IsDone, T? Answer)> TryAsync<T>(Func<SimulatedInventory, Task<T>> call)
    {
        var inventory = Living();
        try
        {
            var answer = await call(inventory).WaitAsync(TimeSpan.FromSeconds(50), _world);
            return (!inventory.IsKilled, answer);
        }
        catch (Exception exception) when (exception is EventStoreUnavailableException or StoreFault or OperationCanceledException or TimeoutException)
        {
            return (false, default);
        }
    }

    private async Task CheckAsync(SimulatedInventory reader)
    {
        var reserved = _skus.ToDictionary(sku => sku, _ => 0L);
        var shipped = _skus.ToDictionary(sku => sku, _ => 0L);
        foreach (var order in _orders.Values)
        {
            var reservation = (await reader.Store.LoadAsync(Reservation.Category, order.OrderId, default)).State;
            Outcomes[reservation.GetType()] = Outcomes.GetValueOrDefault(reservation.GetType()) + 1;
            var isRight = order.Recorded[^1].Type switch
            {
                "OrderCancelled" => reservation is Reservation.Released or Reservation.Rejected,
                "OrderShipped" => reservation is Reservation.Fulfilled,
                _ => reservation is Reservation.Reserved,
            };
            Promise(isRight, $"{order.OrderId} ends with {order.Recorded[^1].Type}, and its reservation is {reservation}");
            foreach (var line in (reservation as Reservation.Reserved)?.Lines ?? [])
            {
                reserved[line.Sku] += line.Quantity;
            }

            foreach (var line in (reservation as Reservation.Fulfilled)?.Lines ?? [])
            {
                shipped[line.Sku] += line.Quantity;
            }
        }

        foreach (var sku in _skus)
        {
            var stock = StockItem.Empty;
            foreach (var recorded in await reader.Store.ReadStreamAsync(StockItem.Category.StreamOf(sku), 0, 10_000, default))
            {
                stock = StockItem.Evolve(stock, (StockEvent)SimulatedInventory.Types.Read(recorded));
                Promise(stock.Reserved >= 0 && stock.Available >= 0, $"after {recorded.Id} ({recorded.Type}) {sku} is oversold, or gave back what it did not hold: {stock}");
            }

            Promise(stock.Reserved == reserved[sku], $"{stock.Reserved} of {sku} are reserved; the reservations grant {reserved[sku]}");
            Promise(stock.Shipped == shipped[sku], $"{stock.Shipped} of {sku} have left the house; the reservations say {shipped[sku]}");
        }
    }

    private static void Promise(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new InvalidOperationException($"Broken: {otherwise}.");
        }
    }
}
