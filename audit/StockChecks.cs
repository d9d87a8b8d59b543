namespace DaprOrders.Audit;

internal static class StockChecks
{
    /// <summary>Per SKU: what its stream says was received is on hand or in shipped orders; nothing is reserved once all orders have ended.</summary>
    public static async Task<string> AddsUpAsync(
        SystemUnderAudit system,
        EventLog inventory,
        IReadOnlyDictionary<string, OrderStory> orders,
        IReadOnlyDictionary<string, int> known,
        List<string> violations,
        CancellationToken cancellationToken)
    {
        var received = inventory.OfCategory("stock").ToDictionary(
            stock => stock.Id,
            stock => stock.Events.Where(happened => happened.Type == "GoodsReceived").Sum(happened => happened.Data.GetProperty("quantity").GetInt64()));
        var shipped = orders.Values.Where(order => order.Status == "shipped").SelectMany(order => order.Lines)
            .GroupBy(line => line.Sku).ToDictionary(sku => sku.Key, sku => sku.Sum(line => (long)line.Quantity));
        var products = await system.ReadPagesAsync(SystemUnderAudit.Inventory, "products?limit=100", "products", "next", "after", cancellationToken);
        foreach (var product in products)
        {
            var sku = product.GetProperty("sku").GetString()!;
            var (onHand, reserved) = (product.GetProperty("onHand").GetInt64(), product.GetProperty("reserved").GetInt64());
            var (got, sent) = (received.GetValueOrDefault(sku), shipped.GetValueOrDefault(sku));
            if (got != onHand + sent)
                violations.Add($"{sku}: {got} received, {onHand} on hand, {sent} in shipped orders");
            if (reserved != 0 || onHand < 0)
                violations.Add($"{sku}: {reserved} reserved of {onHand} on hand; expected none once all orders have ended");
            if (known.TryGetValue(sku, out var expected) && expected != got)
                violations.Add($"{sku}: {expected} were put in stock, its events tell of {got}");
        }

        var listed = products.Select(product => product.GetProperty("sku").GetString()!).ToHashSet();
        violations.AddRange(received.Keys.Union(shipped.Keys).Union(known.Keys).Where(sku => !listed.Contains(sku)).Select(sku => $"{sku} is in stock or in orders and not on the price list"));
        return SystemAudit.Count(products.Count, "product");
    }
}
