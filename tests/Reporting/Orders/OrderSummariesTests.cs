using Dapr;
using DaprOrders.Contracts;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.Reporting.Orders;

namespace DaprOrders.Reporting.Tests.Orders;

public sealed class OrderSummariesTests
{
    private static readonly Money Total = new(19.00m, "EUR");

    private readonly StateInMemory _state = new();
    private readonly Journal _journal = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private OrderSummaries Summaries => new(new Documents(_state.Client, _state, "statestore"), _journal, Journal.Types, 1);

    [Fact]
    public async Task Duplicates_and_any_order_of_delivery_lead_to_the_same_summary()
    {
        var events = GivenAnOrderOnItsWay("o1");
        var expected = OrderSummary.Unknown("o1").Apply(events);

        foreach (var incoming in events.Reverse().Concat(events))
            await Summaries.ApplyAsync([incoming], Cancellation);
        await Summaries.ApplyAsync([.. events.Concat(events)], Cancellation);

        AssertSame(expected, await ReadAsync("o1"));
        Assert.Equal(["o1"], (await ListAsync()).Select(order => order.OrderId));
    }

    [Fact]
    public async Task An_event_that_a_topic_lost_is_fetched_from_the_publisher()
    {
        var events = GivenAnOrderOnItsWay("o1");

        await Summaries.ApplyAsync([events[^1]], Cancellation);

        Assert.Equal("paid", (await ReadAsync("o1")).Status);
        Assert.Equal(["order-o1"], _journal.Asked.Distinct());
    }

    [Fact]
    public async Task Nothing_is_fetched_when_nothing_is_missing()
    {
        await Summaries.ApplyAsync(GivenAnOrderOnItsWay("o1"), Cancellation);

        Assert.Empty(_journal.Asked);
    }

    [Fact]
    public async Task An_event_that_the_publisher_does_not_give_is_delivered_again()
    {
        var elsewhere = new Journal();
        elsewhere.Commit("0", Journal.Created("o1"));
        var later = elsewhere.Commit("0", new OrderStockReserved("o1", "pm_card_ok", Total));

        await Assert.ThrowsAsync<InvalidOperationException>(() => Summaries.ApplyAsync(later, Cancellation));
    }

    [Fact]
    public async Task An_order_is_listed_when_its_own_first_event_is_known()
    {
        await Summaries.ApplyAsync(_journal.Commit("0", new StockReserved("o1", [])), Cancellation);
        Assert.Empty(await ListAsync());

        await Summaries.ApplyAsync(_journal.Commit("0", Journal.Created("o1")), Cancellation);
        Assert.Equal("reserved", Assert.Single(await ListAsync()).Reservation);
    }

    [Fact]
    public async Task Lists_are_newest_first_by_customer_and_by_status_over_many_pages()
    {
        var orders = Enumerable.Range(1, 620).Select(i => $"o{i:000}").ToList();
        foreach (var batch in orders.Chunk(70))
        {
            await Summaries.ApplyAsync(
                [.. batch.SelectMany(order =>
                {
                    _journal.Now += TimeSpan.FromSeconds(1);
                    return _journal.Commit("0", Journal.Created(order, customerId: int.Parse(order[1..]) % 2 == 0 ? "even" : "odd"));
                })],
                Cancellation);
        }

        var cancelled = orders.Where(order => order.EndsWith("00", StringComparison.Ordinal)).ToList();
        await Summaries.ApplyAsync([.. cancelled.SelectMany(order => _journal.Commit("0", new OrderCancelled(order, "customer", null)))], Cancellation);

        orders.Reverse();
        cancelled.Reverse();
        Assert.Equal(orders, (await ListAsync()).Select(order => order.OrderId));
        Assert.Equal(cancelled, (await ListAsync(status: "cancelled")).Select(order => order.OrderId));
        Assert.Equal(orders.Except(cancelled), (await ListAsync(status: "created", limit: 7)).Select(order => order.OrderId));
        Assert.Equal(orders.Where(order => int.Parse(order[1..]) % 2 == 0), (await ListAsync(customer: "even")).Select(order => order.OrderId));
        Assert.Empty(await ListAsync(customer: "nobody"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task A_batch_that_broke_off_anywhere_leaves_each_order_listed_once(int brokenWrite)
    {
        var writes = 0;
        _state.BeforeItem = _ =>
        {
            if (++writes == brokenWrite)
                throw new TaskCanceledException("The process ends here.");
        };
        var created = _journal.Commit("0", Journal.Created("o1"));

        await Assert.ThrowsAsync<TaskCanceledException>(() => Summaries.ApplyAsync(created, Cancellation));
        // What follows was committed meanwhile, and another order fills the list.
        var reserved = _journal.Commit("0", new OrderStockReserved("o1", "pm_card_ok", Total));
        await Summaries.ApplyAsync(_journal.Commit("0", Journal.Created("o2")), Cancellation);
        await Summaries.ApplyAsync([.. created, .. reserved], Cancellation);

        Assert.Equal(["o1", "o2"], (await ListAsync()).Select(order => order.OrderId).Order());
        Assert.Equal(["o1", "o2"], (await ListAsync(customer: "c-1")).Select(order => order.OrderId).Order());
        Assert.Equal(["o1"], (await ListAsync(status: "stockReserved")).Select(order => order.OrderId));
    }

    [Fact]
    public async Task Two_instances_at_once_make_one_list()
    {
        var events = Enumerable.Range(1, 300).SelectMany(i => GivenAnOrderOnItsWay($"o{i}")).ToList();

        await Task.WhenAll(Enumerable.Range(0, 2).Select(async _ =>
        {
            foreach (var batch in events.Chunk(90))
                await Task.Run(() => Summaries.ApplyAsync(batch, Cancellation), Cancellation);
        }));

        Assert.Equal(Enumerable.Range(1, 300).Select(i => $"o{i}").Order(), (await ListAsync(status: "paid")).Select(order => order.OrderId).Order());
        Assert.Equal(300, (await ListAsync()).Count);
    }

    [Fact]
    public async Task A_store_that_is_away_is_said_so_that_the_events_come_again()
    {
        _state.IsDown = true;

        await Assert.ThrowsAsync<DaprException>(() => Summaries.ApplyAsync(GivenAnOrderOnItsWay("o1"), Cancellation));
    }

    [Theory]
    [InlineData("x")]
    [InlineData("-1.o1")]
    [InlineData("1.o1")]
    [InlineData("0.nosuch")]
    [InlineData("99999999999999999999.o1")]
    [InlineData("")]
    public async Task A_cursor_that_is_none_of_the_list_is_recognised(string cursor)
    {
        await Summaries.ApplyAsync(_journal.Commit("0", Journal.Created("o1")), Cancellation);

        Assert.Null(await Summaries.ReadAllAsync(null, cursor, 10, Cancellation));
    }

    private IReadOnlyList<IncomingEvent> GivenAnOrderOnItsWay(string orderId) =>
    [
        .. _journal.Commit("0", Journal.Created(orderId)),
        .. _journal.Commit("0", new StockReserved(orderId, [])),
        .. _journal.Commit("0", new OrderStockReserved(orderId, "pm_card_ok", Total)),
        .. _journal.Commit("0", new PaymentAuthorized(orderId, "ch", Total)),
        .. _journal.Commit("0", new OrderPaid(orderId, "ch")),
    ];

    private async Task<OrderSummary> ReadAsync(string orderId) => (await Summaries.ReadAsync([orderId], Cancellation))[orderId];

    private async Task<IReadOnlyList<OrderSummary>> ListAsync(string? status = null, string? customer = null, int limit = 50)
    {
        var orders = new List<OrderSummary>();
        for (string? cursor = null; ;)
        {
            var page = customer is null
                ? await Summaries.ReadAllAsync(status, cursor, limit, Cancellation)
                : await Summaries.ReadOfCustomerAsync(customer, cursor, limit, Cancellation);
            Assert.NotNull(page);
            Assert.InRange(page.Orders.Count, 0, limit);
            orders.AddRange(page.Orders);
            if ((cursor = page.Next) is null)
                return orders;
        }
    }

    private static void AssertSame(OrderSummary expected, OrderSummary actual)
    {
        Assert.Equal(expected.History, actual.History);
        Assert.Equal(expected.Positions.OrderBy(position => position.Key), actual.Positions.OrderBy(position => position.Key));
        Assert.Equal(
            (expected.CustomerId, expected.Total, expected.Reservation, expected.Payment, expected.UpdatedAt),
            (actual.CustomerId, actual.Total, actual.Reservation, actual.Payment, actual.UpdatedAt));
    }
}
