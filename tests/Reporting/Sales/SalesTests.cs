using System.Diagnostics.Metrics;
using DaprOrders.Contracts;
using DaprOrders.Doubles;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.Reporting.Following;
using DaprOrders.Reporting.Orders;
using DaprOrders.Reporting.Sales;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Topics;
using FsCheck;
using FsCheck.Fluent;
using FsCheck.Xunit;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace DaprOrders.Reporting.Tests.Sales;

public sealed class SalesTests
{
    private static readonly Money Total = new(19.00m, "EUR");
    private static readonly DateOnly March1 = new(2026, 3, 1);

    private readonly StateInMemory _state = new();
    private readonly Journal _journal = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Documents Documents => new(_state.Client, _state, "statestore");

    private SalesFigures Figures => new(Documents, 1);

    private LogFollower Follower => FollowerWith(metrics: null);

    private LogFollower FollowerWith(ReportingMetrics? metrics) => new(
        new LogReader(
            new PublisherLanes(_journal, TimeProvider.System),
            _journal,
            Journal.Types,
            new UnknownTypes(NullLogger<UnknownTypes>.Instance),
            Refused,
            NullLogger<LogReader>.Instance),
        new OrderSummaries(Documents, _journal, Journal.Types, 1),
        Figures,
        Refused,
        metrics,
        TimeProvider.System);

    private RefusedEvents Refused => new(
        DeadLetters,
        EventSigning.From(new ConfigurationBuilder().Build()),
        Options.Create(new CatchUpOptions()),
        TimeProvider.System,
        NullLogger<RefusedEvents>.Instance);

    private DeadLetterStore DeadLetters =>
        new(Documents, new FailureLog(Documents, TimeProvider.System, NullLogger<FailureLog>.Instance), new TopicRegistry(), TimeProvider.System);

    [Fact]
    public async Task An_order_counts_as_sold_on_the_day_it_was_paid()
    {
        _journal.Commit("0", Journal.Created("o1"), new OrderStockReserved("o1", "pm_card_ok", Total));
        _journal.Now += TimeSpan.FromDays(1);
        _journal.Commit("0", new OrderPaid("o1", "ch"));

        await FollowAsync();

        var days = await Figures.ReadDaysAsync(March1, March1.AddDays(2), Cancellation);
        Assert.Equal([0L, 1L, 0L], days.Select(day => day.Sold.Count));
        Assert.Equal([Total], days[1].Sold.Amounts());
        var product = Assert.Single(await Figures.ReadProductsAsync(Cancellation));
        Assert.Equal(("tea-001", "Green tea", 2L, Total), (product.Key, product.Value.Name, product.Value.Count, Assert.Single(product.Value.Amounts())));
        Assert.Equal([("paid", 1L)], await StatusesAsync());
    }

    [Fact]
    public async Task A_paid_order_that_is_cancelled_leaves_the_day_on_which_it_was_paid()
    {
        _journal.Commit("0", Journal.Created("o1"), new OrderStockReserved("o1", "pm_card_ok", Total), new OrderPaid("o1", "ch"));
        await FollowAsync();
        _journal.Now += TimeSpan.FromDays(40);
        _journal.Commit("0", new OrderCancelled("o1", "customer", null));

        await FollowAsync();

        var days = await Figures.ReadDaysAsync(March1, March1.AddDays(40), Cancellation);
        Assert.All(days, day => Assert.Equal((0L, 0), (day.Sold.Count, day.Sold.Amounts().Count)));
        Assert.Equal([("cancelled", 1L)], await StatusesAsync());
    }

    [Fact]
    public async Task An_order_that_was_never_paid_never_counts()
    {
        _journal.Commit("0", Journal.Created("o1"), new OrderStockReserved("o1", "pm_card_ok", Total), new OrderCancelled("o1", "paymentDeclined", null));

        await FollowAsync();

        Assert.Empty(await Figures.ReadProductsAsync(Cancellation));
        Assert.Equal([("cancelled", 1L)], await StatusesAsync());
    }

    [Fact]
    public async Task An_order_whose_events_are_in_two_lanes_counts_once_whichever_is_read_first()
    {
        _journal.Commit("1", Journal.Created("o1"));
        _journal.Commit("0", new OrderStockReserved("o1", "pm_card_ok", Total), new OrderPaid("o1", "ch"));
        _journal.Commit("1", new OrderShipped("o1", "T-1"));

        await FollowAsync();

        Assert.Equal([("shipped", 1L)], await StatusesAsync());
        Assert.Equal(Total, Assert.Single((await Figures.ReadProductsAsync(Cancellation))["tea-001"].Amounts()));
    }

    [Fact]
    public async Task Events_of_a_log_that_are_no_matter_of_orders_are_passed_over()
    {
        _journal.CommitForeign("inventory", "0");
        _journal.Commit("0", new StockReserved("o1", []));

        await FollowAsync();

        var lane = Assert.Single(await Figures.ReadLanesAsync(Cancellation));
        Assert.Equal((2L, 2L), (lane.Tally.Position, lane.Tally.Events));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_publisher_that_does_not_answer_keeps_none_of_the_others_waiting(bool hangs)
    {
        _journal.Commit("0", Journal.Created("o1"));
        _journal.Away.Add("shipping");
        if (hangs)
            _journal.AwayBy = new TaskCanceledException("The limit of the call has passed.", new TimeoutException());

        Assert.Same(_journal.AwayBy, await Record.ExceptionAsync(() => Follower.AdvanceAsync(Cancellation)));

        Assert.Equal([("created", 1L)], await StatusesAsync());
    }

    [Fact]
    public async Task No_key_names_a_customer()
    {
        _journal.Commit("0", Journal.Created("o1"));

        await FollowAsync();

        Assert.Contains(_state.Keys, key => key.Contains("|customer|", StringComparison.Ordinal));
        Assert.DoesNotContain(_state.Keys, key => key.Contains("c-1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_event_that_cannot_be_read_becomes_a_dead_letter_and_keeps_no_other_order_waiting()
    {
        _journal.Commit("0", Journal.Created("o1"));
        // Of an order that was never placed: there is no amount to sell.
        _journal.Commit("0", new OrderPaid("nobody", "ch"));
        _journal.Commit("0", Journal.Created("o2"));
        var follower = Follower;
        for (var attempt = 1; attempt < new CatchUpOptions().Attempts; attempt++)
            await Assert.ThrowsAnyAsync<Exception>(() => follower.AdvanceAsync(Cancellation));

        while (!await follower.AdvanceAsync(Cancellation))
        {
        }

        Assert.Equal([("created", 2L)], await StatusesAsync());
        var letter = Assert.Single((await DeadLetters.ReadAsync(null, 10, Cancellation))!.Items);
        Assert.Equal(("order-nobody:1", "orders", 6), (letter.EventId, letter.Topic, letter.Attempts));
    }

    [Fact]
    public async Task What_was_read_and_could_not_be_applied_counts_as_behind()
    {
        using var services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        var meters = services.GetRequiredService<IMeterFactory>();
        long? behind = null;
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, listener) =>
            {
                if (instrument.Meter.Scope == meters && instrument.Name == "reporting.projection.behind")
                    listener.EnableMeasurementEvents(instrument);
            },
        };
        listener.SetMeasurementEventCallback<long>((_, commits, _, _) => behind = commits);
        listener.Start();
        var follower = FollowerWith(new ReportingMetrics(meters));
        _journal.Commit("0", Journal.Created("o1"));
        _journal.Commit("0", new OrderPaid("nobody", "ch"));

        await Assert.ThrowsAnyAsync<Exception>(() => follower.AdvanceAsync(Cancellation));
        Assert.Equal(2, behind);

        while (await Record.ExceptionAsync(() => follower.AdvanceAsync(Cancellation)) is not null)
            Cancellation.ThrowIfCancellationRequested();
        Assert.Equal(0, behind);
    }

    [Fact]
    public async Task Currencies_are_kept_apart()
    {
        foreach (var (order, currency) in new[] { ("o1", "EUR"), ("o2", "CHF") })
        {
            var total = new Money(10, currency);
            _journal.Commit(
                "0",
                new OrderCreated(order, "c-1", "pm_card_ok", [new OrderLine("tea-001", "Tea", 1, total)], total, null),
                new OrderStockReserved(order, "pm_card_ok", total),
                new OrderPaid(order, "ch"));
        }

        await FollowAsync();

        Assert.Equal([new Money(10, "CHF"), new Money(10, "EUR")], (await Figures.ReadLanesAsync(Cancellation)).Single().Tally.Sold.Amounts());
    }

    [Property(MaxTest = 60)]
    public Property Whatever_breaks_off_and_whoever_else_reads_the_aggregates_equal_a_fold_of_all_streams()
    {
        var steps = Gen.Choose(0, 99).ListOf(60).ToArbitrary();
        return Prop.ForAll(steps, choices => new SalesTests().FollowsThroughAnything([.. choices]).GetAwaiter().GetResult());
    }

    /// <summary>Commits, reads by two instances, and reads that break off before the n-th write, as the choices say.</summary>
    private async Task<bool> FollowsThroughAnything(IReadOnlyList<int> choices)
    {
        var statuses = new Dictionary<string, int>();
        foreach (var choice in choices)
        {
            if (choice < 70)
                Continue(statuses, $"o{choice % 7}", choice);
            else if (choice < 80)
                await Follower.AdvanceAsync(Cancellation);
            else if (choice < 85)
                await Task.WhenAll(Task.Run(() => Follower.AdvanceAsync(Cancellation)), Task.Run(() => Follower.AdvanceAsync(Cancellation)));
            else
                await BreakOffAsync(choice - 85);
        }

        await FollowAsync();
        var expected = new SalesChange();
        foreach (var order in _journal.All.GroupBy(SourceEvents.OrderIdOf))
        {
            var summary = OrderSummary.Unknown(order.Key).Apply(order);
            foreach (var incoming in order)
                expected.Add(incoming.Recorded, summary);
        }

        var products = await Figures.ReadProductsAsync(Cancellation);
        Assert.Equal(
            expected.Orders.Where(status => status.Value != 0).OrderBy(status => status.Key).Select(status => (status.Key, status.Value)),
            await StatusesAsync());
        foreach (var (sku, sold) in expected.Products)
            Assert.Equal((sold.Count, sold.Revenue["EUR"]), (products[sku].Count, products[sku].Revenue["EUR"]));
        foreach (var (day, sold) in await Figures.ReadDaysAsync(March1, March1.AddDays(90), Cancellation))
            Assert.Equal(expected.Days.GetValueOrDefault($"{day:yyyy-MM-dd}", Sold.Nothing).Count, sold.Count);
        return true;
    }

    private void Continue(Dictionary<string, int> statuses, string order, int choice)
    {
        _journal.Now += TimeSpan.FromHours(choice);
        var lane = $"{choice % 3}";
        switch (statuses[order] = statuses.GetValueOrDefault(order) + 1)
        {
            case 1:
                _journal.Commit(lane, Journal.Created(order, sku: $"sku-{choice % 5}"));
                break;
            case 2:
                _journal.Commit(lane, new OrderStockReserved(order, "pm_card_ok", Total));
                break;
            case 3 when choice % 4 != 0:
                _journal.Commit(lane, new OrderPaid(order, "ch"));
                break;
            case 4 when choice % 2 == 0:
                _journal.Commit(lane, new OrderShipped(order, "T"));
                statuses[order] = 99;
                break;
            case < 5:
                _journal.Commit(lane, new OrderCancelled(order, "customer", null));
                statuses[order] = 99;
                break;
        }
    }

    private async Task BreakOffAsync(int afterWrites)
    {
        var writes = 0;
        _state.BeforeItem = _ =>
        {
            if (writes++ == afterWrites)
                throw new TaskCanceledException("The process ends here.");
        };
        var broken = await Record.ExceptionAsync(() => Follower.AdvanceAsync(Cancellation));
        Assert.True(broken is null or TaskCanceledException, $"{broken}");
        _state.BeforeItem = _ => { };
    }

    private async Task FollowAsync()
    {
        while (!await Follower.AdvanceAsync(Cancellation))
            Cancellation.ThrowIfCancellationRequested();
    }

    private async Task<IReadOnlyList<(string, long)>> StatusesAsync() =>
    [
        .. (await Figures.ReadLanesAsync(Cancellation))
            .SelectMany(lane => lane.Tally.Orders)
            .GroupBy(status => status.Key)
            .Select(status => (status.Key, status.Sum(count => count.Value)))
            .Where(status => status.Item2 != 0)
            .OrderBy(status => status.Key),
    ];
}
