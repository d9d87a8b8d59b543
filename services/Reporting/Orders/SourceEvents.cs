using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Reporting.Orders;

/// <summary>The events that reports are made of: those of the streams that belong to one order each.</summary>
internal static class SourceEvents
{
    /// <summary>Who publishes them, and on which topic.</summary>
    public static IReadOnlyList<(string Publisher, string Topic)> Sources { get; } =
        [("ordering", "orders"), ("inventory", "stock"), ("payments", "payments"), ("shipping", "shipments")];

    /// <summary>The publisher whose events say what is sold.</summary>
    public const string Sales = "ordering";

    private static readonly string[] Categories = ["order-", "reservation-", "payment-", "shipment-"];

    /// <summary>A publisher's log has all its streams; some (products, stock items) are no matter of an order.</summary>
    public static bool IsOfOrder(RecordedEvent recorded) =>
        Categories.Any(category => recorded.Stream.StartsWith(category, StringComparison.Ordinal));

    public static string TopicOf(string publisher) => Sources.First(source => source.Publisher == publisher).Topic;

    public static string OrderIdOf(IncomingEvent incoming) => incoming.Payload switch
    {
        OrderEvent e => e.OrderId,
        ReservationEvent e => e.OrderId,
        PaymentEvent e => e.OrderId,
        ShipmentEvent e => e.OrderId,
        _ => throw new UnknownEventException($"{incoming.Recorded.Id}: reports say nothing about '{incoming.Recorded.Type}'."),
    };
}
