using System.Net;
using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Tests.Running;

namespace DaprOrders.Ordering.Tests.FollowingOrders;

public class FollowOrderTests(RunningOrdering ordering)
{
    [Fact]
    public async Task An_order_travels_from_created_to_shipped()
    {
        var orderId = await ordering.PlacePaidAsync();
        Assert.Equal("SUCCESS", await ordering.DeliverAsync(new ShipmentRequested(orderId), 1));
        Assert.Equal("SUCCESS", await ordering.DeliverAsync(new ShipmentDispatched(orderId, "T-1"), 2));

        using var answer = await ordering.GetAsync($"/orders/{orderId}");
        var order = await answer.JsonAsync();
        Assert.Equal("\"4\"", answer.Headers.ETag!.Tag);
        Assert.Equal("shipped", order.GetProperty("status").GetString());
        Assert.Equal("T-1", order.GetProperty("shipment").GetProperty("trackingNumber").GetString());
        Assert.Equal(
            ["OrderCreated", "OrderStockReserved", "OrderPaid", "OrderShipped"], await ordering.Published.OfOrderAsync(orderId, types => types.Count > 3));
    }

    [Theory]
    [InlineData(1, "created")]
    [InlineData(2, "stockReserved")]
    [InlineData(3, "paid")]
    public async Task An_order_can_be_seen_as_it_was(int version, string status)
    {
        var orderId = await ordering.PlacePaidAsync();

        using var answer = await ordering.GetAsync($"/orders/{orderId}?version={version}");

        var order = await answer.JsonAsync();
        Assert.Equal($"\"{version}\"", answer.Headers.ETag!.Tag);
        Assert.Equal(status, order.GetProperty("status").GetString());
        Assert.Equal(version, order.GetProperty("version").GetInt64());
    }

    [Fact]
    public async Task A_version_that_never_was_is_not_found()
    {
        using var answer = await ordering.GetAsync($"/orders/{await ordering.PlaceAsync()}?version=2");

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Theory]
    [InlineData("0")]
    [InlineData("-1")]
    [InlineData("two")]
    [InlineData("1.5")]
    [InlineData("99999999999999999999")]
    public async Task A_version_that_is_no_number_from_1_is_refused_by_name(string version)
    {
        using var answer = await ordering.GetAsync($"/orders/o-1?version={version}");

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.True((await answer.JsonAsync()).GetProperty("errors").TryGetProperty("version", out _));
    }

    [Theory]
    [InlineData("/orders/nowhere")]
    [InlineData("/orders/nowhere/events")]
    public async Task An_unknown_order_is_not_found(string path)
    {
        using var answer = await ordering.GetAsync(path);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Equal("urn:daprorders:order-not-found", (await answer.JsonAsync()).GetProperty("type").GetString());
    }

    [Theory]
    [InlineData("/orders/a%20b")]
    [InlineData("/orders/a%20b/events")]
    public async Task An_id_of_other_characters_is_refused_by_name(string path)
    {
        using var answer = await ordering.GetAsync(path);

        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.True((await answer.JsonAsync()).GetProperty("errors").TryGetProperty("orderId", out _));
    }

    [Fact]
    public async Task The_history_tells_every_event_and_its_cause()
    {
        var orderId = await ordering.PlaceAsync();
        await ordering.DeliverAsync(new StockRejected(orderId, [new StockShortage("tea-001", 2, 0)]), 1);

        var events = await ordering.GetJsonAsync($"/orders/{orderId}/events");

        Assert.Equal(
            [$"order-{orderId}:1 OrderCreated", $"order-{orderId}:2 OrderCancelled"],
            events.EnumerateArray().Select(e => $"{e.GetProperty("id").GetString()} {e.GetProperty("type").GetString()}"));
        var cancelled = events[1];
        Assert.Equal(2, cancelled.GetProperty("version").GetInt64());
        Assert.Equal(1, cancelled.GetProperty("schemaVersion").GetInt32());
        Assert.Equal($"reservation-{orderId}:1", cancelled.GetProperty("causationId").GetString());
        Assert.Equal("outOfStock", cancelled.GetProperty("data").GetProperty("reason").GetString());
        Assert.False(cancelled.TryGetProperty("foundBy", out _));
        Assert.True(cancelled.TryGetProperty("occurredAt", out _) && cancelled.TryGetProperty("correlationId", out _));
    }

    [Fact]
    public async Task A_duplicate_changes_nothing()
    {
        var orderId = await ordering.PlaceAsync();
        var reserved = new StockReserved(orderId, []);

        Assert.Equal("SUCCESS", await ordering.DeliverAsync(reserved, 1));
        Assert.Equal("SUCCESS", await ordering.DeliverAsync(reserved, 1));

        Assert.Equal(2, (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("version").GetInt64());
    }

    [Fact]
    public async Task A_message_that_was_lost_is_fetched_from_its_publisher()
    {
        var orderId = await ordering.PlaceAsync();
        await ordering.DeliverAsync(new StockReserved(orderId, []), 1);
        var requested = new PaymentRequested(orderId, new Money(19.00m, "EUR"), "pm_card_ok");
        ordering.Neighbours.Streams[$"payment-{orderId}"] =
        [
            new RecordedEvent(
                $"payment-{orderId}", 1, nameof(PaymentRequested), 1, DateTimeOffset.UnixEpoch, null, null, JsonSerializer.SerializeToElement(requested, EventTypes.Json)),
        ];

        Assert.Equal("SUCCESS", await ordering.DeliverAsync(new PaymentAuthorized(orderId, "ch-1", new Money(19.00m, "EUR")), 2));

        Assert.Equal("paid", (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task An_event_that_contradicts_the_order_is_asked_for_again()
    {
        var orderId = await ordering.PlaceAsync();

        Assert.Equal("RETRY", await ordering.DeliverAsync(new ShipmentDispatched(orderId, "T-1"), 1));
        Assert.Equal(1, (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("version").GetInt64());
    }

    [Fact]
    public async Task A_payment_that_comes_after_the_cancellation_leaves_the_order_cancelled()
    {
        var orderId = await ordering.PlaceAsync();
        await ordering.DeliverAsync(new StockReserved(orderId, []), 1);
        (await ordering.PostAsync($"/orders/{orderId}/cancellation", new { })).Dispose();
        await ordering.DeliverAsync(new PaymentRequested(orderId, new Money(19.00m, "EUR"), "pm_card_ok"), 1);

        Assert.Equal("SUCCESS", await ordering.DeliverAsync(new PaymentAuthorized(orderId, "ch-1", new Money(19.00m, "EUR")), 2));

        Assert.Equal("cancelled", (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("status").GetString());
    }
}
