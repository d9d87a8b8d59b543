using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using DaprOrders.Reporting.Orders;

namespace DaprOrders.Reporting.Updates;

/// <summary>A status that an order came to.</summary>
/// <param name="Version">Of the order's stream: where two updates of an order cross, the higher one counts.</param>
internal sealed record OrderUpdateView(
    string OrderId,
    string Status,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? CustomerId,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] decimal? Total,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Currency,
    long Version,
    DateTimeOffset At)
{
    [JsonIgnore]
    public bool IsLast => Status is OrderStatus.Shipped or OrderStatus.Cancelled;

    public static OrderUpdateView Of(OrderSummary order, StatusChange change) =>
        new(order.OrderId, change.Status, order.CustomerId, order.Total?.Amount, order.Total?.Currency, change.Version, change.At);
}

/// <summary>An update where it stands in the log. What is sent of it is made once, whoever reads it.</summary>
internal sealed class OrderUpdate(OrderUpdateView view, string lane, LanePosition position)
{
    private readonly byte[] _event = ServerSentEvents.Event("order", view);

    public OrderUpdateView View => view;

    public string Lane => lane;

    public LanePosition Position => position;

    /// <summary>With the order's version as its id, for who follows this order alone.</summary>
    public byte[] AsOfOrder() => [.. ServerSentEvents.Id(view.Version.ToString(CultureInfo.InvariantCulture)), .. _event];

    public byte[] At(UpdatePosition reader) => [.. ServerSentEvents.Id(reader.ToString()), .. _event];
}

/// <summary>The lines of text/event-stream. The framework's writer knows no comments, which are what keeps a silent connection alive.</summary>
internal static class ServerSentEvents
{
    public const string ContentType = "text/event-stream";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    /// <summary>Says nothing, and shows that the other side is there.</summary>
    public static byte[] Comment { get; } = ": ok\n\n"u8.ToArray();

    /// <summary>How the stream begins: how long to wait before coming back, and where to go on if nothing else came.</summary>
    public static byte[] Beginning(string? position) => Encoding.UTF8.GetBytes($": ok\nretry: 2000\n{(position is null ? "" : $"id: {position}\n")}\n");

    public static byte[] Id(string id) => Encoding.UTF8.GetBytes($"id: {id}\n");

    public static byte[] Event<T>(string name, T data) => Encoding.UTF8.GetBytes($"event: {name}\ndata: {JsonSerializer.Serialize(data, Json)}\n\n");
}
