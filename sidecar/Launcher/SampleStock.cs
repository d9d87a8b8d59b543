namespace DaprOrders.Sidecar.Launcher;

/// <summary>One product in stock, so that the curl line that is shown places an order that can be shipped.</summary>
internal static class SampleStock
{
    private const string Sku = "tea-001";

    public static async Task EnsureAsync(RunFile runFile, LaunchConsole console, CancellationToken cancellationToken)
    {
        if (Address(runFile, "ordering") is not { } ordering || Address(runFile, "inventory") is not { } inventory)
            return;
        using var shop = new ShopClient(ordering, inventory);
        try
        {
            if (await shop.KnowsAsync(Sku, cancellationToken))
                return;
            await shop.OfferAsync(Sku, "Green tea", 9.50m, cancellationToken);
            await shop.ReceiveAsync(Sku, 1000, cancellationToken, idempotencyKey: "sample-stock");
        }
        catch (LaunchException e)
        {
            console.Error($"the sample product {Sku} could not be put in stock: {e.Message}");
        }
    }

    /// <summary>For the shell of this platform; null where no ordering app runs.</summary>
    public static string? CurlLine(RunFile runFile)
    {
        if (Address(runFile, "ordering") is not { } ordering)
            return null;
        const string Body = $$"""{"customerId":"c-42","paymentMethod":"pm_card_ok","lines":[{"sku":"{{Sku}}","quantity":2}]}""";
        var quoted = OperatingSystem.IsWindows() ? $"\"{Body.Replace("\"", "\\\"", StringComparison.Ordinal)}\"" : $"'{Body}'";
        // The shell puts the token in: a line on a screen should not tell it.
        var token = string.IsNullOrEmpty(Environment.GetEnvironmentVariable("DAPR_API_TOKEN")) ? ""
            : OperatingSystem.IsWindows() ? " -H \"dapr-api-token: %DAPR_API_TOKEN%\"" : " -H \"dapr-api-token: $DAPR_API_TOKEN\"";
        return $"curl -i {ordering}orders{token} -H \"Content-Type: application/json\" -d {quoted}";
    }

    /// <summary>Where an app is reached through its own sidecar; null where the run file has none such.</summary>
    public static Uri? Address(RunFile runFile, string appId) =>
        runFile.Apps.FirstOrDefault(a => a.AppId == appId) is { DaprHttpPort: > 0 } app ? new Uri($"http://localhost:{app.DaprHttpPort}/v1.0/invoke/{appId}/method/") : null;
}
