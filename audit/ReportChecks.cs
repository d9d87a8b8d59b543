using System.Globalization;
using System.Text.Json;

namespace DaprOrders.Audit;

internal static class ReportChecks
{
    private const int MostProducts = 1000;
    private const int MostDays = 366;

    private static readonly string[] Statuses = ["created", "stockReserved", "paid", "shipped", "cancelled"];

    /// <summary>The list of all orders and every customer's list: each order once, and as all streams about it tell it.</summary>
    public static async Task<string> ListsAsync(
        SystemUnderAudit system,
        IReadOnlyDictionary<string, OrderStory> orders,
        EventLog inventory,
        EventLog payments,
        List<string> violations,
        CancellationToken cancellationToken)
    {
        await CompareAsync("orders?limit=200", "the list of all orders", orders.Values);
        var customers = orders.Values.GroupBy(order => order.CustomerId).ToList();
        foreach (var customer in customers)
            await CompareAsync($"customers/{customer.Key}/orders?limit=200", $"the list of customer {customer.Key}", customer);
        return SystemAudit.Count(customers.Count + 1, "list");

        async Task CompareAsync(string path, string list, IEnumerable<OrderStory> expected)
        {
            var listed = (await system.ReadPagesAsync(SystemUnderAudit.Reporting, path, "orders", "cursor", "cursor", cancellationToken))
                .ToLookup(order => order.GetProperty("orderId").GetString()!);
            var ids = expected.Select(order => order.Id).ToHashSet();
            violations.AddRange(listed.Where(order => !ids.Contains(order.Key)).Select(order => $"{list} has order {order.Key}, which does not belong there"));
            foreach (var order in expected)
            {
                if (listed[order.Id].Take(2).ToList() is not [var shown])
                    violations.Add($"{list} has order {order.Id} {listed[order.Id].Count()} times");
                else
                    violations.AddRange(Differences(order, shown).Select(difference => $"{list}, {difference}"));
            }
        }

        IEnumerable<string> Differences(OrderStory order, JsonElement shown)
        {
            var history = order.History.SequenceEqual(shown.GetProperty("history").EnumerateArray()
                .Select(change => (change.GetProperty("status").GetString()!, change.GetProperty("at").GetDateTimeOffset())));
            return OrderChecks.Differences(order, shown)
                .Concat(history ? [] : [$"order {order.Id}: its history is not that of its events: {shown.GetProperty("history").GetRawText()}"])
                .Concat(Difference("reservation", ReservationOf(order.Id)))
                .Concat(Difference("payment", PaymentOf(order.Id)));

            IEnumerable<string> Difference(string what, string? told) => told == shown.GetProperty(what).GetString()
                ? []
                : [$"order {order.Id}: its {what} is {told ?? "none"}, it is shown with {shown.GetProperty(what).GetString() ?? "none"}"];
        }

        string? ReservationOf(string order) => inventory.Of($"reservation-{order}").LastOrDefault()?.Type switch
        {
            null => null,
            "StockReserved" => "reserved",
            "StockRejected" => "rejected",
            "ReservationReleased" => "released",
            "ReservationFulfilled" => "fulfilled",
            var other => other,
        };

        string? PaymentOf(string order) => payments.Of($"payment-{order}").LastOrDefault()?.Type switch
        {
            null => null,
            "PaymentRequested" => "requested",
            "PaymentAuthorized" => "authorized",
            "PaymentDeclined" => "declined",
            "PaymentVoided" => "voided",
            "RefundRequested" => "refundRequested",
            "PaymentRefunded" => "refunded",
            "RefundRefused" => "refundRefused",
            var other => other,
        };
    }

    /// <summary>Counts and revenue: of everything, by day and by product.</summary>
    public static async Task<string> SumsAsync(
        SystemUnderAudit system, IReadOnlyDictionary<string, OrderStory> orders, List<string> violations, CancellationToken cancellationToken)
    {
        var sold = orders.Values.Where(order => order.IsSold).ToList();
        var summary = await system.GetAsync(SystemUnderAudit.Reporting, "summary", cancellationToken);
        Compare("summary: orders", orders.Count, summary.GetProperty("orders").GetInt64());
        foreach (var status in Statuses)
            Compare($"summary: {status}", orders.Values.LongCount(order => order.Status == status), summary.GetProperty("byStatus").GetProperty(status).GetInt64());
        Compare("summary: sold", sold.Count, summary.GetProperty("sold").GetInt64());
        Compare("summary: revenue", Revenue(sold.Select(order => order.Total)), Revenue(summary));

        var days = orders.Values.Where(order => order.PaidAt is not null).GroupBy(order => DateOnly.FromDateTime(order.PaidAt!.Value.UtcDateTime)).ToDictionary(day => day.Key, day => day.ToList());
        for (var from = days.Keys.DefaultIfEmpty().Min(); days.Count > 0 && from <= days.Keys.Max(); from = from.AddDays(MostDays))
        {
            var path = string.Create(CultureInfo.InvariantCulture, $"sales/daily?from={from:yyyy-MM-dd}&to={from.AddDays(MostDays - 1):yyyy-MM-dd}");
            foreach (var day in (await system.GetAsync(SystemUnderAudit.Reporting, path, cancellationToken)).GetProperty("days").EnumerateArray())
            {
                var date = DateOnly.Parse(day.GetProperty("date").GetString()!, CultureInfo.InvariantCulture);
                var ofDay = days.GetValueOrDefault(date, []).Where(order => order.IsSold).ToList();
                Compare($"sales of {date:O}: orders", ofDay.Count, day.GetProperty("orders").GetInt64());
                Compare($"sales of {date:O}: revenue", Revenue(ofDay.Select(order => order.Total)), Revenue(day));
            }
        }

        var products = sold.SelectMany(order => order.Lines).GroupBy(line => line.Sku).ToDictionary(sku => sku.Key, sku => sku.ToList());
        var listed = (await system.GetAsync(SystemUnderAudit.Reporting, $"sales/products?limit={MostProducts}", cancellationToken)).GetProperty("products")
            .EnumerateArray().ToDictionary(product => product.GetProperty("sku").GetString()!);
        Compare("sales by product: products", Math.Min(products.Count, MostProducts), listed.Count);
        foreach (var (sku, product) in listed)
        {
            var lines = products.GetValueOrDefault(sku, []);
            Compare($"sales of {sku}: units", lines.Sum(line => (long)line.Quantity), product.GetProperty("units").GetInt64());
            Compare($"sales of {sku}: revenue", Revenue(lines.Select(line => line.UnitPrice with { Value = line.UnitPrice.Value * line.Quantity })), Revenue(product));
        }

        return $"{SystemAudit.Count(days.Count, "day")}, {SystemAudit.Count(products.Count, "product")}";

        void Compare<T>(string what, T told, T shown)
        {
            if (!Equals(told, shown))
                violations.Add($"{what}: the events tell {told}, Reporting shows {shown}");
        }
    }

    private static string Revenue(JsonElement shown) => Revenue(shown.GetProperty("revenue").EnumerateArray().Select(Amount.Of));

    private static string Revenue(IEnumerable<Amount> amounts) => string.Join(
        ", ",
        amounts.GroupBy(amount => amount.Currency).Select(currency => new Amount(currency.Sum(amount => amount.Value), currency.Key))
            .Where(amount => amount.Value != 0).OrderBy(amount => amount.Currency, StringComparer.Ordinal));
}
