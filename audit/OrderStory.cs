using System.Text.Json;

namespace DaprOrders.Audit;

internal sealed record Amount(decimal Value, string Currency)
{
    public static Amount Of(JsonElement money) => new(money.GetProperty("amount").GetDecimal(), money.GetProperty("currency").GetString()!);

    public override string ToString() => FormattableString.Invariant($"{Value:0.00} {Currency}");
}

internal sealed record Line(string Sku, string Name, int Quantity, Amount UnitPrice)
{
    public static Line Of(JsonElement line) => new(
        line.GetProperty("sku").GetString()!, line.GetProperty("name").GetString()!, line.GetProperty("quantity").GetInt32(), Amount.Of(line.GetProperty("unitPrice")));
}

/// <summary>What an order's events amount to, folded here anew and by rules of the audit's own.</summary>
internal sealed class OrderStory
{
    private readonly List<(string Status, DateTimeOffset At)> _history = [];
    private readonly List<string> _violations = [];

    private OrderStory(string id) => Id = id;

    public string Id { get; }

    public string CustomerId { get; private set; } = "";

    public Amount Total { get; private set; } = new(0, "");

    public IReadOnlyList<Line> Lines { get; private set; } = [];

    public string? Reason { get; private set; }

    public string? TrackingNumber { get; private set; }

    public IReadOnlyList<(string Status, DateTimeOffset At)> History => _history;

    public string Status => _history.Count == 0 ? "nothing" : _history[^1].Status;

    public long Version { get; private set; }

    public DateTimeOffset? CreatedAt => _history.Count == 0 ? null : _history[0].At;

    public DateTimeOffset? PaidAt => _history.Find(change => change.Status == "paid") is { Status: not null } paid ? paid.At : null;

    public bool IsFinal => Status is "shipped" or "cancelled";

    public bool IsSold => PaidAt is not null && Status != "cancelled";

    public IReadOnlyList<string> Violations => _violations;

    public static OrderStory Of(string id, IEnumerable<LoggedEvent> events)
    {
        var story = new OrderStory(id);
        foreach (var happened in events)
            story.Apply(happened);
        return story;
    }

    private void Apply(LoggedEvent happened)
    {
        var data = happened.Data;
        var next = (Status, happened.Type) switch
        {
            ("nothing", "OrderCreated") => "created",
            ("created", "OrderStockReserved") => "stockReserved",
            ("stockReserved", "OrderPaid") => "paid",
            ("paid", "OrderShipped") => "shipped",
            ("created" or "stockReserved" or "paid", "OrderCancelled") => "cancelled",
            _ => null,
        };
        Version = happened.Version;
        if (next is null)
        {
            _violations.Add($"order {Id} is {Status}, and then comes {happened.Type} (version {happened.Version})");
            return;
        }

        _history.Add((next, happened.OccurredAt));
        switch (happened.Type)
        {
            case "OrderCreated":
                CustomerId = data.GetProperty("customerId").GetString()!;
                Total = Amount.Of(data.GetProperty("total"));
                Lines = [.. data.GetProperty("lines").EnumerateArray().Select(Line.Of)];
                break;
            case "OrderShipped":
                TrackingNumber = data.GetProperty("trackingNumber").GetString();
                break;
            case "OrderCancelled":
                Reason = data.GetProperty("reason").GetString();
                break;
            default:
                break;
        }
    }
}
