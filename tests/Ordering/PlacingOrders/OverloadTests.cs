using System.Net;
using System.Net.Http.Json;
using DaprOrders.Contracts;
using DaprOrders.Ordering.PlacingOrders;
using DaprOrders.Ordering.Tests.Running;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Ordering.Tests.PlacingOrders;

/// <summary>An Ordering that takes three orders further than the others have come.</summary>
public class NarrowOrdering() : RunningOrdering(TimeSpan.FromMinutes(15), appToken: null, ("Ordering:MostOrdersUnderway", "3"));

public class OverloadTests(NarrowOrdering ordering) : IClassFixture<NarrowOrdering>
{
    internal static readonly Money Total = new(19.00m, "EUR");

    private readonly FakeTimeProvider _time = new();

    [Fact]
    public async Task While_too_many_orders_are_underway_an_order_is_refused_with_when_to_come_again()
    {
        using var known = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder(), ("Idempotency-Key", "k-overload"));
        string[] accepted = [(await known.JsonAsync()).GetProperty("orderId").GetString()!, await ordering.PlaceAsync(), await ordering.PlaceAsync()];

        using var refused = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.Equal("overloaded", (await refused.JsonAsync()).GetProperty("type").GetString()!.Split(':')[^1]);
        Assert.Equal(TimeSpan.FromSeconds(1), refused.Headers.RetryAfter?.Delta);

        using var again = await ordering.PostAsync("/orders", RunningOrdering.ValidOrder(), ("Idempotency-Key", "k-overload"));
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);

        await ordering.DeliverAsync(new PaymentRequested(accepted[1], Total, "pm_card_ok"), 1);
        await ordering.PlaceAsync();
    }

    [Fact]
    public void Orders_that_came_to_their_payment_or_were_rejected_make_room()
    {
        var underway = Underway(most: 100);
        Accept(underway, 1, 100);
        Assert.True(underway.AreTooMany());

        underway.See(new StockRejected("order-50", []));
        Assert.False(underway.AreTooMany());

        // All came to their payment but the last: nearly all of the room is free again.
        for (var order = 1; order < 100; order++)
            underway.See(new PaymentRequested($"order-{order}", Total, "pm_card_ok"));
        Assert.InRange(RoomIn(underway, from: 101), 60, 99);
    }

    [Fact]
    public void A_reservation_and_orders_of_other_replicas_make_none()
    {
        var underway = Underway(most: 3);
        Accept(underway, 1, 3);

        underway.See(new StockReserved("order-1", []));
        underway.See(new PaymentRequested("order-of-another", Total, "pm_card_ok"));

        Assert.True(underway.AreTooMany());
    }

    [Fact]
    public void Orders_that_come_at_once_find_no_more_room_than_there_is()
    {
        var underway = Underway(most: 100);
        var entered = 0;
        Parallel.For(0, 1_000, order => Interlocked.Add(ref entered, underway.TryEnter($"order-{order}") ? 1 : 0));

        Assert.Equal(100, entered);
    }

    [Fact]
    public void Paid_orders_that_Shipping_has_not_begun_with_count_and_its_beginning_or_a_cancellation_makes_room()
    {
        var underway = Underway(most: 3);
        foreach (var order in (string[])["order-1", "order-2", "order-3"])
        {
            underway.Pay(order);
        }

        Assert.True(underway.AreTooMany());
        underway.See(new ShipmentRequested("order-1"));
        Assert.False(underway.AreTooMany());
        underway.Pay("order-6");
        underway.See(new ShipmentDispatched("order-6", "t-6"));
        Assert.False(underway.AreTooMany());
        underway.Pay("order-4");
        underway.Pay("order-5");
        Assert.True(underway.AreTooMany());
        underway.Leave("order-2");
        underway.Leave("order-3");
        Assert.False(underway.AreTooMany());
    }

    [Fact]
    public void What_waits_for_the_payment_provider_counts_for_nothing()
    {
        var underway = Underway(most: 3);
        for (var order = 1; order <= 10_000; order++)
        {
            Assert.True(underway.TryEnter($"order-{order}"));
            underway.See(new PaymentRequested($"order-{order}", Total, "pm_card_ok"));
        }
    }

    [Fact]
    public void A_cancelled_order_makes_room()
    {
        var underway = Underway(most: 2);
        Accept(underway, 1, 2);
        underway.Leave("order-1");
        Assert.Equal(1, RoomIn(underway, from: 3));
    }

    [Fact]
    public void A_flow_that_is_slow_fills_the_room_however_long_its_orders_take()
    {
        // Twenty a second come and ten a second are done, so after some minutes each takes longer than a minute.
        var underway = Underway(most: 2_000);
        var (entered, done) = (0, 0);
        for (var second = 0; second < 1_000; second++)
        {
            for (var order = 0; order < 20; order++)
                entered += underway.TryEnter($"order-{entered + 1}") ? 1 : 0;
            for (var order = 0; order < 10 && done < entered; order++)
                underway.See(new PaymentRequested($"order-{++done}", Total, "pm_card_ok"));
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.InRange(entered - done, 1_900, 2_100);
    }

    [Fact]
    public void Half_of_the_orders_tell_how_far_the_others_are()
    {
        // The replicas share the messages: this one hears of every second order.
        var underway = Underway(most: 200);
        for (var order = 1; order <= 10_000; order++)
        {
            Assert.True(underway.TryEnter($"order-{order}"));
            if (order > 100 && order % 2 == 0)
                underway.See(new PaymentRequested($"order-{order - 100}", Total, "pm_card_ok"));
        }
    }

    [Fact]
    public void What_was_heard_of_nowhere_for_a_minute_is_in_nobodys_way()
    {
        var underway = Underway(most: 3);
        Accept(underway, 1, 3);
        _time.Advance(TimeSpan.FromSeconds(59));
        Assert.True(underway.AreTooMany());

        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(3, RoomIn(underway, from: 4));
    }

    [Fact]
    public void A_small_limit_refuses_nobody_while_nothing_is_underway()
    {
        var underway = Underway(most: 2);
        for (var order = 1; order <= 200; order++)
        {
            Assert.True(underway.TryEnter($"order-{order}"));
            underway.See(new PaymentRequested($"order-{order}", Total, "pm_card_ok"));
        }
    }

    [Fact]
    public void Without_a_limit_there_are_never_too_many()
    {
        var underway = Underway(most: 0);
        Accept(underway, 1, 10_000);
        Assert.False(underway.AreTooMany());
    }

    private static void Accept(OrdersUnderway underway, int from, int to)
    {
        for (var order = from; order <= to; order++)
            Assert.True(underway.TryEnter($"order-{order}"));
    }

    private static int RoomIn(OrdersUnderway underway, int from)
    {
        var room = 0;
        while (underway.TryEnter($"order-{from + room}"))
            room++;
        return room;
    }

    private OrdersUnderway Underway(int most) => new(Options.Create(new OrderingOptions { MostOrdersUnderway = most }), _time);
}

/// <summary>With an Ordering of their own, since they hold up its store.</summary>
public class CallersWhoGoAwayTests(NarrowOrdering ordering) : IClassFixture<NarrowOrdering>
{
    [Fact]
    public async Task An_order_that_was_begun_is_placed_although_its_caller_went_away_so_that_its_room_is_not_lost()
    {
        var goOn = new TaskCompletionSource();
        ordering.BeforeCall = call => call.Operation is "transaction" or "set" && call.Subjects.Any(key => key.Contains("order-", StringComparison.Ordinal))
            ? goOn.Task
            : Task.CompletedTask;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        string[] keys = ["k-gone-1", "k-gone-2", "k-gone-3"];
        var placing = keys.Select(key => PlaceAsync(key, patience.Token)).ToList();
        while (!ordering.Services.GetRequiredService<OrdersUnderway>().AreTooMany())
            await Task.Delay(10, TestContext.Current.CancellationToken);

        await patience.CancelAsync();
        foreach (var gone in placing)
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
        goOn.SetResult();

        // Each was placed, as any other; so what is heard of it makes room.
        foreach (var key in keys)
        {
            await ordering.Published.OfOrderAsync(IdempotencyKey.OrderIdOf("c-42", key), types => types.Count > 0);
            using var again = await PlaceAsync(key, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, again.StatusCode);
            await ordering.DeliverAsync(new PaymentRequested((await again.JsonAsync()).GetProperty("orderId").GetString()!, OverloadTests.Total, "pm_card_ok"), 1);
        }

        await ordering.PlaceAsync();
    }

    private async Task<HttpResponseMessage> PlaceAsync(string key, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/orders") { Content = JsonContent.Create(RunningOrdering.ValidOrder()), Headers = { { "Idempotency-Key", key } } };
        return await ordering.Client.SendAsync(request, cancellationToken);
    }
}

/// <summary>With an Ordering of their own, since others leave it full.</summary>
public class RoomAfterOrdersTests(NarrowOrdering ordering) : IClassFixture<NarrowOrdering>
{
    [Fact]
    public async Task Orders_that_come_to_their_end_leave_all_of_the_room()
    {
        for (var order = 0; order < 6; order++)
        {
            var orderId = await ordering.PlaceAsync();
            await ordering.DeliverAsync(new StockReserved(orderId, [new ReservedLine("tea-001", 2)]), 1);
            await ordering.DeliverAsync(new PaymentRequested(orderId, OverloadTests.Total, "pm_card_ok"), 1);
            await ordering.DeliverAsync(new PaymentAuthorized(orderId, "ch-1", OverloadTests.Total), 2);
            await ordering.DeliverAsync(new ShipmentDispatched(orderId, "t-1"), 1);
        }
    }
}
