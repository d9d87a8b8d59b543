using System.Collections.Immutable;
using DaprOrders.EventSourcing;
using DaprOrders.Inventory.ManagingProducts;
using DaprOrders.Inventory.ReservingStock;
using DaprOrders.Inventory.Stock;
using DaprOrders.Tests;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Inventory.Tests;

public sealed class ReservationTests : IDisposable
{
    private readonly InventoryHost _inventory = new();

    private ServiceHost<Products> Service => _inventory.Service;

    public void Dispose() => _inventory.Dispose();

    [Fact]
    public async Task An_order_gets_its_goods_and_takes_them_when_it_is_shipped()
    {
        await _inventory.ListAsync("tea", 10);
        var order = new OrderStream().Created(("tea", 3)).StockReserved().Paid().Shipped();

        Assert.Equal(["SUCCESS"], await Service.DeliverAsync(order, 1));
        Assert.Equal("reserved", await _inventory.ReservationAsync(order));
        Assert.Equal((10, 3, 7), await _inventory.StockAsync("tea"));

        Assert.Equal(["SUCCESS", "SUCCESS", "SUCCESS"], await Service.DeliverAsync(order, 2, 3, 4));
        Assert.Equal("fulfilled", await _inventory.ReservationAsync(order));
        Assert.Equal((7, 0, 7), await _inventory.StockAsync("tea"));
    }

    [Fact]
    public async Task What_changes_nothing_is_neither_written_down_nor_fetched()
    {
        await _inventory.ListAsync("tea", 10);
        var order = new OrderStream().Created(("tea", 3)).StockReserved().Paid().Shipped();

        await Service.DeliverAsync(order, 1);
        await Service.DeliverAsync(order, 2, 3);
        Assert.Equal([1], await SeenAsync());
        await Service.DeliverAsync(order, 4);
        Assert.Equal([4], await SeenAsync());
        Assert.Equal(0, Service.Fetches);

        async Task<IEnumerable<long>> SeenAsync() =>
            (await Service.Store.LoadAsync(Reservation.Category, order.OrderId, TestContext.Current.CancellationToken)).Positions.Values;
    }

    [Fact]
    public async Task An_order_whose_first_message_was_lost_is_asked_for()
    {
        await _inventory.ListAsync("tea", 10);
        var order = new OrderStream().Created(("tea", 3)).StockReserved().Cancelled();

        Assert.Equal(["SUCCESS"], await Service.DeliverAsync(order, 3));

        Assert.Equal(1, Service.Fetches);
        Assert.Equal("released", await _inventory.ReservationAsync(order));
    }

    [Fact]
    public async Task What_failed_here_and_another_instance_has_handled_is_passed_whoever_is_asked()
    {
        await _inventory.ListAsync("tea", 10);
        using var other = new InventoryHost(_inventory);
        var order = new OrderStream().Created(("tea", 3));
        _inventory.BeforeCall = (_, _) => throw new InvalidOperationException("The shelf is locked.");
        Assert.Equal(["RETRY"], await Service.DeliverAsync(order, 1));
        Assert.Equal(("open", "open"), (await OutcomeAsync(Service), await OutcomeAsync(other.Service)));

        Assert.Equal(["SUCCESS"], await other.Service.DeliverAsync(order, 1));

        Assert.Equal(("passed", "passed"), (await OutcomeAsync(Service), await OutcomeAsync(other.Service)));

        async Task<string?> OutcomeAsync(ServiceHost<Products> asked) =>
            (await asked.GetAsync($"/dead-letters/failures?stream=order-{order.OrderId}&stream=reservation-{order.OrderId}")).Body.GetProperty("failures")[0].GetProperty("outcome").GetString();
    }

    [Fact]
    public async Task All_or_nothing_over_several_skus()
    {
        await _inventory.ListAsync("coffee", 5);
        await _inventory.ListAsync("tea", 1);
        var order = new OrderStream().Created(("tea", 2), ("coffee", 5));

        Assert.Equal(["SUCCESS"], await Service.DeliverAsync(order));

        var reservation = (await Service.GetAsync($"/reservations/{order.OrderId}")).Body;
        Assert.Equal("rejected", reservation.GetProperty("status").GetString());
        Assert.Equal("""[{"sku":"tea","requested":2,"available":1}]""", reservation.GetProperty("shortages").GetRawText());
        Assert.Equal((5, 0, 5), await _inventory.StockAsync("coffee"));
        Assert.Equal((1, 0, 1), await _inventory.StockAsync("tea"));
        Assert.Equal(["StockRejected"], await Service.EventsOfAsync($"reservation-{order.OrderId}"));
    }

    [Fact]
    public async Task A_sku_that_nobody_listed_is_short()
    {
        var order = new OrderStream().Created(("nothing", 1));
        await Service.DeliverAsync(order);

        Assert.Equal("rejected", await _inventory.ReservationAsync(order));
    }

    [Fact]
    public async Task A_cancelled_order_gives_its_goods_back()
    {
        await _inventory.ListAsync("tea", 10);
        var order = new OrderStream().Created(("tea", 3)).StockReserved().Cancelled();

        await Service.DeliverAsync(order, 1);
        await Service.DeliverAsync(order, 2, 3);

        Assert.Equal("released", await _inventory.ReservationAsync(order));
        Assert.Equal((10, 0, 10), await _inventory.StockAsync("tea"));
    }

    [Fact]
    public async Task A_cancellation_that_overtakes_its_order_is_remembered()
    {
        await _inventory.ListAsync("tea", 10);
        var order = new OrderStream().Created(("tea", 3)).Cancelled();

        Assert.Equal(["SUCCESS"], await Service.DeliverAsync(order, 2));
        Assert.Equal(["SUCCESS"], await Service.DeliverAsync(order, 1));

        Assert.Equal("released", await _inventory.ReservationAsync(order));
        Assert.Equal((10, 0, 10), await _inventory.StockAsync("tea"));
    }

    [Fact]
    public async Task A_delivery_that_died_half_way_is_continued_by_the_next()
    {
        await _inventory.ListAsync("coffee", 5);
        await _inventory.ListAsync("tea", 5);
        var order = new OrderStream().Created(("coffee", 2), ("tea", 2)).StockReserved().Cancelled();

        await FailOnceAfter<StockCommand.Hold>("tea", () => Service.DeliverAsync(order, 1));
        Assert.Equal("none", await _inventory.ReservationAsync(order));
        Assert.Equal(["SUCCESS"], await Service.DeliverAsync(order, 1));
        Assert.Equal((5, 2, 3), await _inventory.StockAsync("tea"));

        await FailOnceAfter<StockCommand.Release>("coffee", () => Service.DeliverAsync(order, 3));
        Assert.Equal(["SUCCESS"], await Service.DeliverAsync(order, 3));
        Assert.Equal((5, 0, 5), await _inventory.StockAsync("coffee"));
        Assert.Equal((5, 0, 5), await _inventory.StockAsync("tea"));
    }

    [Fact]
    public async Task What_died_before_it_gave_its_part_back_gives_it_back_later()
    {
        await _inventory.ListAsync("coffee", 5);
        await _inventory.ListAsync("tea", 1);
        var order = new OrderStream().Created(("coffee", 2), ("tea", 2));

        await FailOnceAfter<StockCommand.Hold>("coffee", () => Service.DeliverAsync(order, 1));
        Assert.Equal((5, 2, 3), await _inventory.StockAsync("coffee"));
        // Cancelled meanwhile, and the message of its creation comes no more.
        Assert.Equal(["SUCCESS"], await Service.DeliverAsync(order.Cancelled("paymentTimeout"), 2));

        Assert.Equal((5, 0, 5), await _inventory.StockAsync("coffee"));
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(2)]
    public async Task A_rejected_order_holds_nothing_although_the_process_ended_before_it_gave_its_part_back(params int[] deliveredAfterwards)
    {
        await _inventory.ListAsync("coffee", 5);
        await _inventory.ListAsync("tea", 1);
        var order = new OrderStream().Created(("coffee", 2), ("tea", 2));
        _inventory.BeforeCall = (_, commands) => commands[0] is StockCommand.Release ? throw new EventStoreUnavailableException("The process has ended.") : Task.CompletedTask;
        Assert.Equal(["RETRY"], await Service.DeliverAsync(order, 1));

        _inventory.BeforeCall = (_, _) => Task.CompletedTask;
        Assert.All(await Service.DeliverAsync(order.Cancelled("outOfStock"), deliveredAfterwards), status => Assert.Equal("SUCCESS", status));

        Assert.Equal((5, 0, 5), await _inventory.StockAsync("coffee"));
        Assert.Equal((1, 0, 1), await _inventory.StockAsync("tea"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_stalled_duplicate_holds_nothing_when_the_order_is_over(bool isShipped)
    {
        using var other = new InventoryHost(_inventory);
        await _inventory.ListAsync("tea", 10);
        var order = new OrderStream().Created(("tea", 3));
        var (reached, gate) = (new TaskCompletionSource(), new TaskCompletionSource());
        other.BeforeCall = async (_, _) =>
        {
            reached.TrySetResult();
            await gate.Task;
        };
        var stalled = other.Service.DeliverAsync(order, 1);
        await reached.Task.WaitAsync(TestContext.Current.CancellationToken);

        await Service.DeliverAsync(order, 1);
        Assert.Equal(["SUCCESS"], isShipped ? await Service.DeliverAsync(order.StockReserved().Paid().Shipped(), 4) : await Service.DeliverAsync(order.Cancelled(), 2));
        // And it ends before it can give anything back.
        other.AfterCall = (_, _) => throw new EventStoreUnavailableException("The process has ended.");
        gate.SetResult();
        await stalled;

        Assert.Equal(isShipped ? (7, 0, 7) : (10, 0, 10), await _inventory.StockAsync("tea"));
    }

    [Fact]
    public async Task A_stalled_duplicate_gives_nothing_back_while_the_order_is_being_shipped()
    {
        using var other = new InventoryHost(_inventory);
        await _inventory.ListAsync("coffee", 5);
        await _inventory.ListAsync("tea", 5);
        var order = new OrderStream().Created(("coffee", 2), ("tea", 2));
        var (held, holding) = (new TaskCompletionSource(), new TaskCompletionSource());
        other.BeforeCall = (sku, _) => StopAtAsync(sku == "coffee", held, holding);
        var stalled = other.Service.DeliverAsync(order, 1);
        await held.Task.WaitAsync(TestContext.Current.CancellationToken);

        await Service.DeliverAsync(order, 1);
        var (shipped, shipping) = (new TaskCompletionSource(), new TaskCompletionSource());
        _inventory.BeforeCall = (sku, _) => StopAtAsync(sku == "tea", shipped, shipping);
        var delivered = Service.DeliverAsync(order.StockReserved().Paid().Shipped(), 4);
        await shipped.Task.WaitAsync(TestContext.Current.CancellationToken);
        await Eventually.IsAsync(async () => (await _inventory.StockAsync("coffee")).OnHand == 3);
        holding.SetResult();
        await stalled;
        shipping.SetResult();

        Assert.Equal(["SUCCESS"], await delivered);
        Assert.Equal((3, 0, 3), await _inventory.StockAsync("coffee"));
        Assert.Equal((3, 0, 3), await _inventory.StockAsync("tea"));

        static Task StopAtAsync(bool isThere, TaskCompletionSource reached, TaskCompletionSource goOn)
        {
            if (!isThere)
            {
                return Task.CompletedTask;
            }

            reached.TrySetResult();
            return goOn.Task;
        }
    }

    [Fact]
    public async Task What_happened_long_ago_is_not_done_again()
    {
        await _inventory.ListAsync("tea", 1_000);
        OrderStream[] old = [new OrderStream().Created(("tea", 1)).StockReserved().Paid().Shipped(), new OrderStream().Created(("tea", 2)).Cancelled()];
        await Service.DeliverAsync([(old[0], 1), (old[0], 4), (old[1], 1)]);
        await Service.DeliverAsync([(old[1], 2)]);
        foreach (var _ in Enumerable.Range(0, 10))
        {
            await Service.DeliverAsync([.. Enumerable.Range(0, 20).Select(_ => (new OrderStream().Created(("tea", 1)), 1))]);
        }

        var before = await _inventory.StockAsync("tea");
        var stock = Service.Services.GetRequiredService<StockItems>();
        foreach (var order in old)
        {
            Assert.True((await stock.SendAsync("tea", new StockCommand.Hold(order.OrderId, 1), TestContext.Current.CancellationToken)).IsOver);
            await stock.SendAsync("tea", new StockCommand.Release(order.OrderId), TestContext.Current.CancellationToken);
            await stock.SendAsync("tea", new StockCommand.Ship(order.OrderId), TestContext.Current.CancellationToken);
        }

        Assert.Equal((999, 200, 799), before);
        Assert.Equal(before, await _inventory.StockAsync("tea"));
    }

    [Fact]
    public async Task The_lines_of_an_order_go_out_at_once()
    {
        const int Lines = 100;
        string[] skus = [.. Enumerable.Range(0, Lines).Select(number => $"sku-{number}")];
        await Task.WhenAll(skus.Select(sku => _inventory.ListAsync(sku, 1)));
        var (begun, all) = (0, new TaskCompletionSource());
        _inventory.BeforeCall = async (_, _) =>
        {
            if (Interlocked.Increment(ref begun) == Lines)
            {
                all.SetResult();
            }

            // None is answered before all are asked.
            await all.Task.WaitAsync(TimeSpan.FromMinutes(2));
        };

        var order = new OrderStream().Created([.. skus.Select(sku => (sku, 1))]);
        Assert.Equal(["SUCCESS"], await Service.DeliverAsync(order));
        Assert.Equal("reserved", await _inventory.ReservationAsync(order));
    }

    [Fact]
    public async Task An_order_of_a_hundred_lines_does_not_keep_its_ninety_nine_neighbours_waiting()
    {
        string[] skus = [.. Enumerable.Range(0, 100).Select(number => $"sku-{number}")];
        await Task.WhenAll(skus.Append("tea").Select(sku => _inventory.ListAsync(sku, 99)));
        var (held, neighbours) = (0, new TaskCompletionSource());
        _inventory.AfterCall = (sku, commands) =>
        {
            if (sku == "tea" && Interlocked.Add(ref held, commands.Count) == 99)
            {
                neighbours.SetResult();
            }

            return Task.CompletedTask;
        };
        // The hundred lines get no answer before the neighbours have theirs.
        _inventory.BeforeCall = (sku, _) => sku == "tea" ? Task.CompletedTask : neighbours.Task.WaitAsync(TimeSpan.FromMinutes(2));
        _inventory.Batches.Clear();

        var large = new OrderStream().Created([.. skus.Select(sku => (sku, 1))]);
        var answers = await Service.DeliverAsync([(large, 1), .. Enumerable.Range(0, 99).Select(_ => (new OrderStream().Created(("tea", 1)), 1))]);

        Assert.All(answers, answer => Assert.Equal("SUCCESS", answer));
        Assert.Equal("reserved", await _inventory.ReservationAsync(large));
        Assert.Equal((99, 99, 0), await _inventory.StockAsync("tea"));
        Assert.Equal(199, _inventory.Batches.Sum());
    }

    [Fact]
    public async Task A_stock_that_was_written_with_its_open_holds_in_it_goes_on()
    {
        await _inventory.ListAsync("tea", 100);
        OrderStream[] orders = [.. Enumerable.Range(0, 50).Select(_ => new OrderStream().Created(("tea", 1)))];
        var earlier = new StreamCategory<EarlierStock, StockEvent>("stock", null, new EarlierStock(100, ImmutableDictionary<string, int>.Empty), (stock, happened) => happened is GoodsHeld held
            ? stock with { Holds = stock.Holds.Add(held.OrderId, held.Quantity) }
            : stock);
        foreach (var order in orders)
        {
            await Service.Store.HandleAsync(earlier, "tea", _ => new GoodsHeld(order.OrderId, 1), new CommandContext(), TestContext.Current.CancellationToken);
            await Service.DeliverAsync(order);
        }

        Assert.Equal((100, 50, 50), await _inventory.StockAsync("tea"));
        await Service.DeliverAsync([.. orders.Take(20).Select(order => (order.StockReserved().Paid().Shipped(), 4)), .. orders.Skip(20).Select(order => (order.Cancelled(), 2))]);
        Assert.Equal((80, 0, 80), await _inventory.StockAsync("tea"));
    }

    [Fact]
    public async Task Shipping_is_continued_without_taking_goods_twice()
    {
        await _inventory.ListAsync("coffee", 5);
        await _inventory.ListAsync("tea", 5);
        var order = new OrderStream().Created(("coffee", 2), ("tea", 2)).StockReserved().Paid().Shipped();
        await Service.DeliverAsync(order, 1);

        await FailOnceAfter<StockCommand.Ship>("coffee", () => Service.DeliverAsync(order, 2, 3, 4));
        Assert.Equal(["SUCCESS", "SUCCESS"], await Service.DeliverAsync(order, 4, 4));

        Assert.Equal((3, 0, 3), await _inventory.StockAsync("coffee"));
        Assert.Equal((3, 0, 3), await _inventory.StockAsync("tea"));
        Assert.Equal(["GoodsReceived", "HoldGranted", "HoldFulfilled"], await Service.EventsOfAsync("stock-tea"));
    }

    [Fact]
    public async Task Orders_of_one_moment_share_calls_to_the_stock()
    {
        await _inventory.ListAsync("tea", 1_000);
        _inventory.Batches.Clear();
        OrderStream[] orders = [.. Enumerable.Range(0, 100).Select(_ => new OrderStream().Created(("tea", 1)))];

        var answers = await Service.DeliverAsync([.. orders.Select(order => (order, 1))]);

        Assert.All(answers, answer => Assert.Equal("SUCCESS", answer));
        Assert.Equal((1_000, 100, 900), await _inventory.StockAsync("tea"));
        Assert.Equal(100, _inventory.Batches.Sum());
        Assert.InRange(_inventory.Batches.Count, 1, 50);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Random_interleavings_of_orders_cancellations_and_duplicates_keep_the_stock_right(int seed)
    {
        const int Received = 40;
        string[] skus = ["a", "b", "c"];
        foreach (var sku in skus)
        {
            await _inventory.ListAsync(sku, Received);
        }

        var random = new Random(seed);
        var orders = Enumerable.Range(0, 60).Select(_ => RandomOrder(random, skus)).ToList();
        // Every message several times, in any order, side by side; some answers of the stock are lost.
        var deliveries = orders.SelectMany(order => Enumerable.Range(0, 3).Select(_ => (order, version: 1))
            .Concat(Enumerable.Range(0, 2).Where(_ => IsCancelled(order)).Select(_ => (order, version: 2)))).ToArray();
        random.Shuffle(deliveries);
        var calls = 0;
        _inventory.AfterCall = (_, _) => Interlocked.Increment(ref calls) % 7 == 0 ? throw new EventStoreUnavailableException("The answer is lost.") : Task.CompletedTask;
        await Task.WhenAll(deliveries.Chunk(10).Select(chunk => Service.DeliverAsync(chunk)));
        _inventory.AfterCall = (_, _) => Task.CompletedTask;
        foreach (var delivery in deliveries)
        {
            // What failed is delivered again.
            Assert.Equal(["SUCCESS"], await Service.DeliverAsync([delivery]));
        }

        foreach (var order in orders.Where(order => !IsCancelled(order)))
        {
            if (await _inventory.ReservationAsync(order) == "reserved" && random.Next(2) == 0)
            {
                order.StockReserved().Paid().Shipped();
                await Service.DeliverAsync(order, 4, 4, 3);
                // What failed, beside itself or on a busy machine, is delivered again.
                Assert.Equal(["SUCCESS"], await Service.DeliverAsync(order, 4));
            }
        }

        foreach (var sku in skus)
        {
            var granted = new Dictionary<string, long> { ["reserved"] = 0, ["fulfilled"] = 0 };
            foreach (var order in orders)
            {
                var status = await _inventory.ReservationAsync(order);
                Assert.NotEqual("none", status);
                Assert.True(!IsCancelled(order) || status is "released" or "rejected");
                if (granted.ContainsKey(status))
                {
                    granted[status] += QuantityOf(order, sku);
                }
            }

            Assert.Equal((Received - granted["fulfilled"], granted["reserved"], Received - granted["fulfilled"] - granted["reserved"]), await _inventory.StockAsync(sku));
        }
    }

    /// <summary>A snapshot as it was before.</summary>
    private sealed record EarlierStock(long Received, ImmutableDictionary<string, int> Holds);

    private static OrderStream RandomOrder(Random random, string[] skus)
    {
        var order = new OrderStream().Created([.. skus.Where(_ => random.Next(2) == 0).DefaultIfEmpty(skus[0]).Select(sku => (sku, random.Next(1, 4)))]);
        return random.Next(3) == 0 ? order.Cancelled() : order;
    }

    private static bool IsCancelled(OrderStream order) => order.Recorded.Any(recorded => recorded.Type == "OrderCancelled");

    private static int QuantityOf(OrderStream order, string sku) => order.Recorded[0].Data.GetProperty("lines").EnumerateArray()
        .Where(line => line.GetProperty("sku").GetString() == sku).Sum(line => line.GetProperty("quantity").GetInt32());

    /// <summary>The stock does what it is asked for, but its answer is lost: the delivery fails.</summary>
    private async Task FailOnceAfter<TCommand>(string sku, Func<Task<IReadOnlyList<string>>> deliver)
        where TCommand : StockCommand
    {
        var failed = 0;
        _inventory.AfterCall = (called, commands) => called == sku && commands[0] is TCommand && Interlocked.Exchange(ref failed, 1) == 0
            ? throw new EventStoreUnavailableException("The answer is lost.")
            : Task.CompletedTask;
        Assert.Contains("RETRY", await deliver());
        _inventory.AfterCall = (_, _) => Task.CompletedTask;
        Assert.Equal(1, failed);
    }
}
