namespace DaprOrders.Sidecar.Launcher;

/// <summary>One product in stock, so that the curl line that is shown places an order that can be shipped.</summary>
internal static class SampleStock
{
    private const string Sku = "tea-001";

    public static async Task EnsureAsync(RunFile runFile, LaunchConsole console, CancellationToken cancellationToken)
    {
        if (runFile.Apps.FirstOrDefault(a => a.AppId == "inventory") is not { DaprHttpPort: > 0 } inventory)
            return;

        using var http = new HttpClient { BaseAddress = new Uri($"http://localhost:{inventory.DaprHttpPort}/v1.0/invoke/inventory/method/"), Timeout = TimeSpan.FromSeconds(10) };
        try
        {
            using var known = await http.GetAsync(new Uri($"products/{Sku}", UriKind.Relative), cancellationToken);
            if (known.IsSuccessStatusCode)
                return;
            using var product = await http.PutAsJsonAsync(
                $"products/{Sku}", new { name = "Green tea", price = new { amount = 9.50m, currency = "EUR" } }, cancellationToken);
            product.EnsureSuccessStatusCode();
            using var receipt = new HttpRequestMessage(HttpMethod.Post, $"products/{Sku}/receipts") { Content = JsonContent.Create(new { quantity = 1000 }) };
            receipt.Headers.Add("Idempotency-Key", "sample-stock");
            using var received = await http.SendAsync(receipt, cancellationToken);
            received.EnsureSuccessStatusCode();
        }
        catch (Exception e) when (e is HttpRequestException || (e is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            console.Error($"the sample product {Sku} could not be put in stock: {e.Message}");
        }
    }

    /// <summary>For the shell of this platform; null where no ordering app runs.</summary>
    public static string? CurlLine(RunFile runFile)
    {
        if (runFile.Apps.FirstOrDefault(a => a.AppId == "ordering") is not { DaprHttpPort: > 0 } ordering)
            return null;
        const string Body = $$"""{"customerId":"c-42","paymentMethod":"pm_card_ok","lines":[{"sku":"{{Sku}}","quantity":2}]}""";
        var quoted = OperatingSystem.IsWindows() ? $"\"{Body.Replace("\"", "\\\"", StringComparison.Ordinal)}\"" : $"'{Body}'";
        return $"curl -i http://localhost:{ordering.DaprHttpPort}/v1.0/invoke/ordering/method/orders -H \"Content-Type: application/json\" -d {quoted}";
    }
}
