using System.Text.Json.Serialization;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Errors;

namespace DaprOrders.Reporting.Orders;

internal static class OrderStatus
{
    public const string Created = "created";
    public const string StockReserved = "stockReserved";
    public const string Paid = "paid";
    public const string Shipped = "shipped";
    public const string Cancelled = "cancelled";

    public static IReadOnlyList<string> All { get; } = [Created, StockReserved, Paid, Shipped, Cancelled];

    public static FieldErrors RequireStatus(this FieldErrors errors, string? status) =>
        errors.Require(status is null || All.Contains(status), "status", $"Expected one of {string.Join(", ", All)}, or nothing for all.");
}

/// <summary>A status that an order had from the given version of its stream on.</summary>
internal sealed record StatusChange(string Status, DateTimeOffset At, long Version);

internal sealed record Cancellation(string Reason, string? Detail);

/// <summary>
/// An order as its events, and those of its reservation, payment and shipment, tell it. It is folded by version: of each source stream
/// every event counts once and in order, whatever way it came.
/// </summary>
/// <param name="CustomerId">Null until the order itself was heard of; the others may be first.</param>
/// <param name="History">Oldest first.</param>
/// <param name="Positions">By source stream, the last version that was applied.</param>
/// <param name="Page">Where the order stands in the list of all orders and in its customer's.</param>
internal sealed record OrderSummary(
    string OrderId,
    string? CustomerId,
    Money? Total,
    IReadOnlyList<OrderLine> Lines,
    IReadOnlyList<StatusChange> History,
    Cancellation? Cancellation,
    string? TrackingNumber,
    string? Reservation,
    string? Payment,
    string? Shipment,
    DateTimeOffset UpdatedAt,
    IReadOnlyDictionary<string, long> Positions,
    OrderPages? Page)
{
    [JsonIgnore]
    public string? Status => History.Count == 0 ? null : History[^1].Status;

    /// <summary>The version of the order's own stream that is applied.</summary>
    [JsonIgnore]
    public long Version => Positions.GetValueOrDefault($"order-{OrderId}");

    public static OrderSummary Unknown(string orderId) =>
        new(orderId, null, null, [], [], null, null, null, null, null, DateTimeOffset.MinValue, new Dictionary<string, long>(), null);

    /// <summary>The status after the given version; null before the first.</summary>
    public StatusChange? At(long version) => History.LastOrDefault(change => change.Version <= version);

    /// <summary>Applies what is new; the rest is known. Returns itself when nothing is new.</summary>
    /// <exception cref="InvalidOperationException">An event before these is missing.</exception>
    public OrderSummary Apply(IEnumerable<IncomingEvent> events) => events.Aggregate(this, (summary, incoming) => summary.Apply(incoming));

    private OrderSummary Apply(IncomingEvent incoming)
    {
        var recorded = incoming.Recorded;
        var position = Positions.GetValueOrDefault(recorded.Stream);
        if (recorded.Version <= position)
            return this;
        if (recorded.Version > position + 1)
            throw new InvalidOperationException($"Order {OrderId} has {recorded.Stream} up to version {position}; {recorded.Id} cannot be next.");

        return Changed(incoming.Payload, recorded) with
        {
            UpdatedAt = recorded.OccurredAt > UpdatedAt ? recorded.OccurredAt : UpdatedAt,
            Positions = new Dictionary<string, long>(Positions) { [recorded.Stream] = recorded.Version },
        };
    }

    private OrderSummary Changed(object payload, RecordedEvent recorded) => payload switch
    {
        OrderCreated e => Now(OrderStatus.Created, recorded) with { CustomerId = e.CustomerId, Total = e.Total, Lines = e.Lines },
        OrderStockReserved => Now(OrderStatus.StockReserved, recorded),
        OrderPaid => Now(OrderStatus.Paid, recorded),
        OrderShipped e => Now(OrderStatus.Shipped, recorded) with { TrackingNumber = e.TrackingNumber },
        OrderCancelled e => Now(OrderStatus.Cancelled, recorded) with { Cancellation = new Cancellation(e.Reason, e.Detail) },
        StockReserved => this with { Reservation = "reserved" },
        StockRejected => this with { Reservation = "rejected" },
        ReservationReleased => this with { Reservation = "released" },
        ReservationFulfilled => this with { Reservation = "fulfilled" },
        PaymentRequested => this with { Payment = "requested" },
        PaymentAuthorized => this with { Payment = "authorized" },
        PaymentDeclined => this with { Payment = "declined" },
        PaymentVoided => this with { Payment = "voided" },
        RefundRequested => this with { Payment = "refundRequested" },
        PaymentRefunded => this with { Payment = "refunded" },
        RefundRefused => this with { Payment = "refundRefused" },
        ShipmentRequested => this with { Shipment = "requested" },
        ShipmentDispatched => this with { Shipment = "dispatched" },
        ShipmentCancelled => this with { Shipment = "cancelled" },
        // Of a publisher that is ahead of this program: a rebuild after the upgrade brings it in.
        NotKnownHere => this,
        _ => throw new UnknownEventException($"{recorded.Id}: reports say nothing about '{recorded.Type}'."),
    };

    private OrderSummary Now(string status, RecordedEvent recorded) =>
        this with { History = [.. History, new StatusChange(status, recorded.OccurredAt, recorded.Version)] };
}

/// <summary>The pages that list an order.</summary>
internal sealed record OrderPages(long All, long OfCustomer);
