using System.Text.Json.Nodes;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>
/// Checks what must hold of the whole system, by its HTTP APIs alone, for the orders that were acknowledged and the products that were
/// stocked: waits until every order is final, then nothing moves any more.
/// </summary>
internal sealed class Auditor(Shop shop)
{
    private readonly Dictionary<string, string> _eventsSeen = [];

    /// <param name="orders">Every order that was answered 201.</param>
    /// <param name="received">What was received of each SKU.</param>
    public async Task AuditAsync(IReadOnlyCollection<string> orders, IReadOnlyDictionary<string, int> received)
    {
        var final = new Dictionary<string, JsonNode>();
        foreach (var id in orders)
        {
            final[id] = await shop.FinalAsync(id);
            await VersionsAreContiguousAndUnchangedAsync(id);
        }

        await StockAddsUpAsync(final.Values, received);
        await ChargedOnceAndRefundedOnceAsync(final);
        await ReportsEqualTheOrdersAsync(final);
    }

    /// <summary>Versions 1..n without a gap; what was once read never changes.</summary>
    private async Task VersionsAreContiguousAndUnchangedAsync(string id)
    {
        var events = (await shop.GetAsync("ordering", $"orders/{id}/events")).AsArray();
        for (var i = 0; i < events.Count; i++)
        {
            Assert.Equal(i + 1, events[i]!["version"]!.GetValue<long>());
            var key = $"{id}:{i + 1}";
            var text = events[i]!.ToJsonString();
            Assert.True(_eventsSeen.TryAdd(key, text) || _eventsSeen[key] == text, $"{key} was {_eventsSeen[key]} and is now {text}");
        }
    }

    /// <summary>Received = on hand + shipped, and at rest nothing is reserved.</summary>
    private async Task StockAddsUpAsync(IEnumerable<JsonNode> orders, IReadOnlyDictionary<string, int> received)
    {
        var shipped = orders.Where(order => Shop.Status(order) == "shipped")
            .SelectMany(order => order["lines"]!.AsArray())
            .GroupBy(line => line!["sku"]!.GetValue<string>(), line => line!["quantity"]!.GetValue<int>())
            .ToDictionary(sku => sku.Key, sku => sku.Sum());
        foreach (var (sku, quantity) in received)
        {
            await Until.Async(
                () => shop.ProductAsync(sku),
                product => product["reserved"]!.GetValue<int>() == 0
                    && product["onHand"]!.GetValue<int>() + shipped.GetValueOrDefault(sku) == quantity,
                $"{sku}: received {quantity} = on hand + shipped {shipped.GetValueOrDefault(sku)}, nothing reserved");
        }
    }

    /// <summary>One charge per shipped order; one refund per charge of a cancelled one.</summary>
    private async Task ChargedOnceAndRefundedOnceAsync(Dictionary<string, JsonNode> orders)
    {
        foreach (var (id, order) in orders)
        {
            await Until.Async(
                () => MovementsAsync(id),
                moved => Shop.Status(order) == "shipped" ? moved == (1, 0) : moved is (0, 0) or (1, 1),
                $"order {id}, {Shop.Status(order)}, to be charged once and refunded as often as it must");
        }
    }

    private async Task<(int Charges, int Refunds)> MovementsAsync(string orderId)
    {
        var entries = (await shop.LedgerAsync()).Where(entry => entry["reference"]!.GetValue<string>() == orderId).ToArray();
        return (entries.Count(entry => entry["kind"]!.GetValue<string>() == "charge"), entries.Count(entry => entry["kind"]!.GetValue<string>() == "refund"));
    }

    /// <summary>Reporting knows every order as Ordering does.</summary>
    private async Task ReportsEqualTheOrdersAsync(Dictionary<string, JsonNode> orders)
    {
        foreach (var customer in orders.Values.GroupBy(order => order["customerId"]!.GetValue<string>()))
        {
            var expected = customer.ToDictionary(order => order["orderId"]!.GetValue<string>(), Shop.Status);
            await Until.Async(
                () => ReportedAsync(customer.Key),
                reported => expected.All(order => reported.GetValueOrDefault(order.Key) == order.Value),
                $"Reporting to list the {expected.Count} orders of {customer.Key} with their final status");
        }
    }

    private async Task<Dictionary<string, string>> ReportedAsync(string customer)
    {
        var reported = new Dictionary<string, string>();
        string? cursor = null;
        do
        {
            var page = await shop.GetAsync("reporting", $"customers/{customer}/orders?limit=100{(cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}")}");
            foreach (var order in page["orders"]!.AsArray())
            {
                reported[order!["orderId"]!.GetValue<string>()] = order["status"]!.GetValue<string>();
            }

            cursor = page["cursor"]?.GetValue<string>();
        }
        while (cursor is not null);

        return reported;
    }
}
