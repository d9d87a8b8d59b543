namespace DaprOrders.Demo;

/// <summary>One product in stock, so that the curl line that is shown places an order that can be shipped.</summary>
public static class SampleProduct
{
    public const string Sku = "tea-001";

    /// <exception cref="ShopException">The shop did not take it.</exception>
    public static async Task EnsureInStockAsync(ShopClient shop, CancellationToken cancellationToken)
    {
        if (await shop.KnowsAsync(Sku, cancellationToken))
            return;
        await shop.OfferAsync(Sku, "Green tea", 9.50m, cancellationToken);
        await shop.ReceiveAsync(Sku, 1000, cancellationToken, idempotencyKey: "sample-stock");
    }

    /// <summary>Orders two of it, in the shell of this platform.</summary>
    /// <param name="ordering">Where Ordering answers, with a slash at the end.</param>
    public static string CurlLine(Uri ordering)
    {
        const string Body = $$"""{"customerId":"c-42","paymentMethod":"pm_card_ok","lines":[{"sku":"{{Sku}}","quantity":2}]}""";
        var quoted = OperatingSystem.IsWindows() ? $"\"{Body.Replace("\"", "\\\"", StringComparison.Ordinal)}\"" : $"'{Body}'";
        // The shell puts the token in: a line on a screen should not tell it.
        var token = string.IsNullOrEmpty(Environment.GetEnvironmentVariable("DAPR_API_TOKEN")) ? ""
            : OperatingSystem.IsWindows() ? " -H \"dapr-api-token: %DAPR_API_TOKEN%\"" : " -H \"dapr-api-token: $DAPR_API_TOKEN\"";
        return $"curl -i {ordering}orders{token} -H \"Content-Type: application/json\" -d {quoted}";
    }
}
