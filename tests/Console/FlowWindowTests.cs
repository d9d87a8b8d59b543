using System.Text.Json;
using DaprOrders.Console.Calling;
using DaprOrders.Console.Overview;

namespace DaprOrders.Console.Tests;

public sealed class FlowWindowTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 27, 12, 0, 10, TimeSpan.Zero);

    [Fact]
    public void An_order_counts_once_however_often_it_was_read()
    {
        var window = new FlowWindow();
        window.Take([Order("a", "created", 20)], isAll: true, Now);
        window.Take([Order("a", "shipped", 20)], isAll: true, Now);

        var buckets = window.Read(Now).Buckets;

        Assert.Equal((1, 1, 0), (buckets.Sum(b => b.Placed), buckets.Sum(b => b.Shipped), buckets.Sum(b => b.Cancelled)));
    }

    [Fact]
    public void What_is_older_than_the_window_is_forgotten()
    {
        var window = new FlowWindow();
        window.Take([Order("old", "shipped", 16 * 60), Order("new", "cancelled", 5)], isAll: true, Now);

        var buckets = window.Read(Now).Buckets;

        Assert.Equal((1, 0, 1), (buckets.Sum(b => b.Placed), buckets.Sum(b => b.Shipped), buckets.Sum(b => b.Cancelled)));
        Assert.Equal(FlowWindow.Buckets, buckets.Count);
    }

    [Fact]
    public void Percentiles_are_of_orders_that_were_shipped()
    {
        var window = new FlowWindow();
        Assert.Null(window.Read(Now).HalfShippedWithin);

        window.Take([.. Enumerable.Range(1, 100).Select(i => Order($"o{i}", "shipped", 60, i / 10.0)), Order("c", "cancelled", 60, 50)], isAll: true, Now);

        Assert.Equal(TimeSpan.FromSeconds(5), window.Read(Now).HalfShippedWithin);
        Assert.Equal(TimeSpan.FromSeconds(9.5), window.Read(Now).MostShippedWithin);
    }

    [Fact]
    public void It_says_since_when_it_knows_all_until_it_reaches_back_far_enough()
    {
        var window = new FlowWindow();
        window.Take([Order("a", "shipped", 60)], isAll: false, Now);
        Assert.Equal(Now.AddSeconds(-60), window.KnownFrom);

        window.Take([Order("b", "shipped", 16 * 60)], isAll: false, Now);
        Assert.Null(window.KnownFrom);
    }

    [Fact]
    public void Given_more_new_orders_than_are_read_then_those_from_before_the_hole_are_not_said_to_be_all()
    {
        var window = new FlowWindow();
        window.Take([Order("a2", "shipped", 50), Order("a1", "shipped", 100)], isAll: false, Now);
        window.Take([Order("b4", "shipped", 1), Order("b3", "shipped", 2)], isAll: false, Now);
        window.Take([Order("b2", "shipped", 3), Order("b1", "shipped", 4)], isAll: false, Now, isBehind: true);

        Assert.Equal(Now.AddSeconds(-4), window.KnownFrom);
        Assert.Null(window.Read(Now).PlacedPerSecond);
        Assert.Equal(4, window.Read(Now).Buckets.Sum(bucket => bucket.Placed));
    }

    [Fact]
    public void Given_a_page_that_reaches_what_was_read_last_time_then_what_was_known_still_is()
    {
        var window = new FlowWindow();
        window.Take([Order("a2", "shipped", 50), Order("a1", "shipped", 100)], isAll: false, Now);
        window.Take([Order("b2", "shipped", 1), Order("b1", "shipped", 2)], isAll: false, Now);
        window.Take([Order("a3", "shipped", 40), Order("a2", "shipped", 50)], isAll: false, Now, isBehind: true);

        Assert.Equal(Now.AddSeconds(-100), window.KnownFrom);
    }

    [Fact]
    public void Once_the_whole_window_is_known_it_stays_so_as_long_as_readings_join()
    {
        var window = new FlowWindow();
        window.Take([Order("a2", "shipped", 10), Order("a1", "shipped", 20)], isAll: false, Now);
        var later = Now + FlowWindow.Length;
        window.Take([Order("a4", "shipped", 5 - FlowWindow.Length.TotalSeconds), Order("a2", "shipped", 10)], isAll: false, later);
        Assert.Null(window.KnownFrom);

        window.Take([Order("a5", "shipped", 1 - FlowWindow.Length.TotalSeconds), Order("a4", "shipped", 5 - FlowWindow.Length.TotalSeconds)], isAll: false, later);
        Assert.Null(window.KnownFrom);

        window.Take([Order("c", "shipped", -FlowWindow.Length.TotalSeconds)], isAll: false, later);
        Assert.NotNull(window.KnownFrom);
    }

    [Fact]
    public void In_a_backlog_what_depends_on_orders_that_are_not_read_again_is_not_known()
    {
        var window = new FlowWindow();
        window.Take([.. Enumerable.Range(1, 200).Select(i => Order($"b{i}", "paid", i))], isAll: false, Now);
        var flow = window.Read(Now);
        Assert.Null(flow.ShippedPerSecond);
        Assert.Null(flow.MostShippedWithin);
        Assert.Equal(1, flow.PlacedPerSecond!.Value, 0.05);

        window.Take([.. Enumerable.Range(1, 200).Select(i => Order($"b{i}", i == 150 ? "paid" : "shipped", i, took: 0))], isAll: false, Now);
        flow = window.Read(Now);
        Assert.Equal(1, flow.ShippedPerSecond!.Value, 0.05);
        Assert.NotNull(flow.MostShippedWithin);
    }

    [Fact]
    public void What_a_clock_that_is_minutes_ahead_has_stamped_is_not_of_the_last_minute()
    {
        var window = new FlowWindow();
        window.Take([Order("ahead", "shipped", -7 * 60), Order("a", "shipped", 30), Order("b", "shipped", -1)], isAll: true, Now);

        Assert.Equal((2 / 60.0, 2 / 60.0), (window.Read(Now).PlacedPerSecond, window.Read(Now).ShippedPerSecond));
    }

    [Fact]
    public void Of_a_minute_that_was_not_read_to_its_beginning_no_rate_is_known()
    {
        var window = new FlowWindow();
        window.Take([Order("a", "shipped", 10)], isAll: false, Now);

        Assert.Equal((null, null), (window.Read(Now).PlacedPerSecond, window.Read(Now).ShippedPerSecond));
    }

    private static ListedOrder Order(string id, string status, double secondsAgo, double took = 0.5) => JsonSerializer.Deserialize<ListedOrder>(
        Samples.Listed(id, status, Now.AddSeconds(-secondsAgo), took), JsonSerializerOptions.Web)!;
}
