using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Tests;

/// <summary>An event of a later version of Ordering: no service knows it.</summary>
public sealed record OrderGiftWrapped(string OrderId, string Paper) : OrderEvent(OrderId);

/// <summary>An order as Ordering would publish it.</summary>
public sealed class OrderStream(string? orderId = null)
{
    private readonly List<OrderEvent> _events = [];

    public string OrderId { get; } = orderId ?? $"order-{Guid.NewGuid():N}";

    public static Money Total { get; } = new(19.00m, "EUR");

    public IReadOnlyList<RecordedEvent> Recorded => [.. _events.Select(Record)];

    public OrderStream Created(params (string Sku, int Quantity)[] lines) => Then(new OrderCreated(
        OrderId, "c-42", "pm_card_ok", [.. lines.Select(line => new OrderLine(line.Sku, line.Sku, line.Quantity, new Money(9.50m, "EUR")))], Total, null));

    public OrderStream StockReserved(string paymentMethod = "pm_card_ok", Money? total = null) => Then(new OrderStockReserved(OrderId, paymentMethod, total ?? Total));

    public OrderStream Paid() => Then(new OrderPaid(OrderId, "ch_1"));

    public OrderStream Shipped() => Then(new OrderShipped(OrderId, "T-1"));

    public OrderStream Cancelled(string reason = "customer") => Then(new OrderCancelled(OrderId, reason, null));

    public OrderStream GiftWrapped() => Then(new OrderGiftWrapped(OrderId, "striped"));

    /// <summary>The event of this version as the sidecar delivers it.</summary>
    public object CloudEvent(int version)
    {
        var recorded = Record(_events[version - 1], version - 1);
        return new
        {
            specversion = "1.0",
            id = recorded.Id,
            source = "ordering",
            type = recorded.Type,
            subject = recorded.Stream,
            time = recorded.OccurredAt,
            datacontenttype = "application/json",
            stream = recorded.Stream,
            streamversion = $"{recorded.Version}",
            schemaversion = $"{recorded.SchemaVersion}",
            data = recorded.Data,
        };
    }

    /// <summary>One bulk delivery, as the sidecar makes it.</summary>
    public static object BulkDelivery(IReadOnlyList<(OrderStream Order, int Version)> entries) => new
    {
        id = Guid.NewGuid(),
        topic = "orders",
        pubsubname = "pubsub",
        type = "com.dapr.event.sent.bulk",
        entries = entries.Select((entry, index) => new { entryId = $"{index}", contentType = "application/cloudevents+json", @event = entry.Order.CloudEvent(entry.Version) }),
    };

    /// <summary>What the service answered to each entry.</summary>
    public static IReadOnlyList<string> StatusesOf(JsonElement answer) =>
        [.. answer.GetProperty("statuses").EnumerateArray().Select(status => status.GetProperty("status").GetString()!)];

    private OrderStream Then(OrderEvent happened)
    {
        _events.Add(happened);
        return this;
    }

    private RecordedEvent Record(OrderEvent happened, int index) => new(
        $"order-{OrderId}", index + 1, happened.GetType().Name, 1, DateTimeOffset.UnixEpoch, null, null,
        JsonSerializer.SerializeToElement(happened, happened.GetType(), EventTypes.Json));
}
