using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.Tests.Running;

namespace DaprOrders.Ordering.Tests;

/// <summary>Publishers are upgraded first, and publish events that this service does not know yet.</summary>
public class LaterPublishersTests(RunningOrdering ordering)
{
    private sealed record AddedLater(string OrderId, string Said);

    [Theory]
    [InlineData("stock", "inventory", "reservation")]
    [InlineData("payments", "payments", "payment")]
    [InlineData("shipments", "shipping", "shipment")]
    [InlineData("products", "inventory", "product")]
    public async Task An_event_of_a_type_that_is_not_known_yet_is_acknowledged(string topic, string publisher, string category)
    {
        var id = $"later-{Guid.NewGuid():N}";

        Assert.Equal("SUCCESS", await ordering.DeliverAsync(topic, publisher, $"{category}-{id}", 1, new AddedLater(id, "something new")));
    }

    [Fact]
    public async Task An_event_behind_one_that_is_not_known_is_applied_and_the_position_moves_over_both()
    {
        var orderId = await ordering.PlaceAsync();
        var stream = $"payment-{orderId}";
        var (requested, authorized) = (
            new PaymentRequested(orderId, new Money(19.00m, "EUR"), "pm_card_ok"), new PaymentAuthorized(orderId, "ch-1", new Money(19.00m, "EUR")));
        await ordering.DeliverAsync(new StockReserved(orderId, [new ReservedLine("tea-001", 2)]), 1);
        await ordering.DeliverAsync(requested, 1);
        Assert.Equal("SUCCESS", await ordering.DeliverAsync("payments", "payments", stream, 2, new AddedLater(orderId, "something new")));
        ordering.Neighbours.Streams[stream] = [Recorded(stream, 1, requested), Recorded(stream, 2, new AddedLater(orderId, "something new"))];

        Assert.Equal("SUCCESS", await ordering.DeliverAsync(authorized, 3));
        Assert.Equal("SUCCESS", await ordering.DeliverAsync(authorized, 3));

        Assert.Equal("paid", (await ordering.GetJsonAsync($"/orders/{orderId}")).GetProperty("status").GetString());
    }

    private static RecordedEvent Recorded(string stream, long version, object payload) => new(
        stream, version, payload.GetType().Name, 1, DateTimeOffset.UnixEpoch, null, null, JsonSerializer.SerializeToElement(payload, payload.GetType(), EventTypes.Json));
}
