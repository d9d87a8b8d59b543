using DaprOrders.ServiceDefaults.Errors;

namespace DaprOrders.Ordering.PlacingOrders;

/// <summary>The body of <c>POST /orders</c>. Prices are not part of it: they come from the price list.</summary>
/// <param name="CustomerId">1-64 of A-Z a-z 0-9 . _ -</param>
/// <param name="PaymentMethod">A token of the payment provider: 1-64 of A-Z a-z 0-9 . _ -</param>
/// <param name="Lines">1-100. Several lines of one SKU become one line with the sum of their quantities.</param>
public sealed record PlaceOrderRequest(
    string? CustomerId = null, string? PaymentMethod = null, IReadOnlyList<PlaceOrderLine?>? Lines = null);

/// <param name="Sku">1-64 of A-Z a-z 0-9 . _ -</param>
/// <param name="Quantity">1-1000000</param>
public sealed record PlaceOrderLine(string? Sku = null, int? Quantity = null);

/// <summary>A request whose every field is within its limits.</summary>
/// <param name="Lines">One per SKU.</param>
public sealed record WantedOrder(string CustomerId, string PaymentMethod, IReadOnlyList<WantedLine> Lines)
{
    public const int MaxLines = 100;
    public const int MaxQuantity = 1_000_000;

    /// <summary>Null when something is wrong; <paramref name="errors"/> then says what, field by field.</summary>
    public static WantedOrder? Read(PlaceOrderRequest request, FieldErrors errors)
    {
        errors.RequireId(request.CustomerId, "customerId").RequireId(request.PaymentMethod, "paymentMethod");
        var count = request.Lines?.Count ?? 0;
        errors.Require(count is >= 1 and <= MaxLines, "lines", $"Expected 1 to {MaxLines} lines; got {count}.");
        if (count is 0 or > MaxLines)
            return null;

        var lines = Merge(request.Lines!, errors);
        return errors.Any ? null : new(request.CustomerId!, request.PaymentMethod!, lines);
    }

    private static List<WantedLine> Merge(IReadOnlyList<PlaceOrderLine?> lines, FieldErrors errors)
    {
        var merged = new List<WantedLine>(lines.Count);
        for (var i = 0; i < lines.Count; i++)
        {
            var (sku, quantity) = (lines[i]?.Sku, lines[i]?.Quantity ?? 0);
            errors.RequireId(sku, $"lines[{i}].sku").RequireRange(lines[i]?.Quantity, $"lines[{i}].quantity", 1, MaxQuantity);
            if (errors.Any)
                continue;

            var same = merged.FindIndex(line => line.Sku == sku);
            if (same < 0)
            {
                merged.Add(new(sku!, quantity, $"lines[{i}].sku"));
                continue;
            }

            merged[same] = merged[same] with { Quantity = merged[same].Quantity + quantity };
            errors.RequireRange(merged[same].Quantity, $"lines[{i}].quantity", 1, MaxQuantity);
        }

        return merged;
    }
}

/// <param name="Field">Where the SKU is named first, for instance <c>lines[3].sku</c>.</param>
public sealed record WantedLine(string Sku, int Quantity, string Field);
