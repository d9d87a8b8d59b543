using System.Diagnostics;
using System.Text;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.State;
using DaprOrders.Ordering.Deadlines;
using DaprOrders.Ordering.Tests.Running;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Ordering.Tests.Deadlines;

/// <summary>Ordering with two seconds to pay, on real reminders.</summary>
public sealed class OrderingInAHurry() : RunningOrdering(paymentDeadline: TimeSpan.FromSeconds(2));

public class PaymentDeadlineTests(OrderingInAHurry ordering) : IClassFixture<OrderingInAHurry>
{
    [Fact]
    public async Task An_order_that_nobody_pays_is_cancelled_after_its_deadline_and_not_before()
    {
        var orderId = await ordering.PlaceAsync();

        await ordering.Published.OfOrderAsync(orderId, types => types.Contains(nameof(OrderCancelled)));

        var order = await ordering.GetJsonAsync($"/orders/{orderId}");
        Assert.Equal("paymentTimeout", order.GetProperty("cancellation").GetProperty("reason").GetString());
        Assert.InRange(order.GetProperty("updatedAt").GetDateTimeOffset() - order.GetProperty("createdAt").GetDateTimeOffset(), TimeSpan.FromSeconds(2), TimeSpan.MaxValue);
    }

    [Fact]
    public async Task A_paid_order_is_not_cancelled()
    {
        var paid = await ordering.PlacePaidAsync();
        var unpaid = await ordering.PlaceAsync();

        await ordering.Published.OfOrderAsync(unpaid, types => types.Contains(nameof(OrderCancelled)));

        Assert.Equal("paid", (await ordering.GetJsonAsync($"/orders/{paid}")).GetProperty("status").GetString());
    }
}

/// <summary>Whose orders nobody else minds: a visit with an advanced clock cancels all that it finds.</summary>
public sealed class OrderingToVisit() : RunningOrdering(paymentDeadline: TimeSpan.FromMinutes(15));

/// <summary>What one visit does, on the log of a running Ordering and a clock of the test's own.</summary>
public sealed class DeadlineVisitTests(OrderingToVisit ordering) : IClassFixture<OrderingToVisit>
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(15);

    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Given_young_orders_then_the_cursor_waits_before_them()
    {
        var young = await ordering.PlaceAsync();

        var cursor = await VisitAsync(DeadlineCursor.Start);

        Assert.Equal("created", await StatusAsync(young));
        Assert.True(cursor.Position < await PositionOfAsync(young), $"The cursor is at {cursor.Position}, past a young order.");
    }

    [Fact]
    public async Task Given_orders_past_their_deadline_then_the_unpaid_are_cancelled_and_the_cursor_has_passed_all()
    {
        var (unpaid, paid) = (await ordering.PlaceAsync(), await ordering.PlacePaidAsync());
        var positions = new[] { await PositionOfAsync(unpaid), await PositionOfAsync(paid) };
        _time.Advance(Deadline + TimeSpan.FromMinutes(1));

        var cursor = await VisitAsync(DeadlineCursor.Start);

        Assert.Equal(("cancelled", "paid"), (await StatusAsync(unpaid), await StatusAsync(paid)));
        Assert.All(positions, position => Assert.True(cursor.Position >= position));
        Assert.Empty(cursor.Left);
    }

    [Fact]
    public async Task Given_an_order_that_was_left_then_it_is_tried_at_each_visit_though_the_cursor_has_passed_it()
    {
        var left = await ordering.PlaceAsync();
        _time.Advance(Deadline + TimeSpan.FromMinutes(1));

        var cursor = await VisitAsync(new DeadlineCursor(await PositionOfAsync(left), [left]));

        Assert.Equal("cancelled", await StatusAsync(left));
        Assert.Empty(cursor.Left);
    }

    [Fact]
    public async Task Given_an_order_that_is_named_twice_then_it_is_cancelled_once_and_holds_nobody_up()
    {
        var named = await ordering.PlaceAsync();
        var position = await PositionOfAsync(named);
        _time.Advance(Deadline + TimeSpan.FromMinutes(1));

        var cursor = await VisitAsync(new DeadlineCursor(position - 1, [named]));

        Assert.Equal("cancelled", await StatusAsync(named));
        Assert.True(cursor.Position >= position);
    }

    [Fact]
    public async Task Given_an_order_that_this_release_cannot_read_then_the_others_are_cancelled_and_it_once_it_can_be_read()
    {
        var (disputed, unpaid) = (await ordering.PlaceAsync(), await ordering.PlaceAsync());
        var position = await PositionOfAsync(disputed);
        await PositionOfAsync(unpaid);
        _time.Advance(Deadline + TimeSpan.FromMinutes(1));

        // As a later release writes it, which is taken back.
        await RewriteAsync(disputed, "\"OrderCreated\"", "\"OrderDisputed\"");
        var cursor = await VisitAsync(new DeadlineCursor(position - 1, []));
        await RewriteAsync(disputed, "\"OrderDisputed\"", "\"OrderCreated\"");

        Assert.Equal("cancelled", await StatusAsync(unpaid));
        Assert.True(cursor.Position >= position);
        Assert.Equal([disputed], cursor.Left);
        cursor = await VisitAsync(cursor);
        Assert.Equal("cancelled", await StatusAsync(disputed));
        Assert.Empty(cursor.Left);
    }

    [Fact]
    public async Task Given_a_lane_that_does_not_exist_then_there_is_nothing_to_visit() =>
        Assert.Null(await Deadlines().VisitAsync("nobody", DeadlineCursor.Start, Cancellation));

    private PaymentDeadlines Deadlines() => new(
        ordering.Services.GetRequiredService<EventStore>(),
        Options.Create(new OrderingOptions { PaymentDeadline = Deadline }),
        _time,
        NullLogger<PaymentDeadlines>.Instance);

    private async Task<DeadlineCursor> VisitAsync(DeadlineCursor cursor)
    {
        for (var hasMore = true; hasMore;)
            (cursor, hasMore) = (await Deadlines().VisitAsync(await LaneAsync(), cursor, Cancellation)) ?? throw new UnreachableException("The lane is there.");
        return cursor;
    }

    private async Task RewriteAsync(string orderId, string type, string otherType)
    {
        var state = ordering.Services.GetRequiredService<IStateApi>();
        var tip = (await state.GetAsync($"stream|order-{orderId}", Cancellation))!;
        var text = Encoding.UTF8.GetString(tip.Value.Span).Replace(type, otherType, StringComparison.Ordinal);
        Assert.True(await state.TrySaveAsync(new StateWrite($"stream|order-{orderId}", Encoding.UTF8.GetBytes(text), tip.ETag), Cancellation));
    }

    private async Task<string> LaneAsync() =>
        Assert.Single((await ordering.Services.GetRequiredService<EventStore>().ReadLanesAsync(Cancellation)).Lanes).Name;

    // The log can be read a moment after the order was answered.
    private async Task<long> PositionOfAsync(string orderId)
    {
        var store = ordering.Services.GetRequiredService<EventStore>();
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        for (long after = 0; ;)
        {
            var page = (await store.ReadLogEntriesAsync(await LaneAsync(), after, 1000, Cancellation))!;
            if (page.Entries.FirstOrDefault(entry => entry.Stream == $"order-{orderId}") is { } entry)
                return entry.Position;
            if (page.Next == after)
                await poll.WaitForNextTickAsync(Cancellation);
            after = page.Next;
        }
    }

    private async Task<string?> StatusAsync(string orderId) => (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("status").GetString();
}
