using System.Net;
using System.Text.Json;
using Dapr.Client;

namespace DaprOrders.Ordering.Pricing;

/// <summary>Inventory's price list, asked by Dapr invocation: <c>GET /products/{sku}</c>.</summary>
public sealed class InventoryProducts(DaprClient dapr) : IDisposable
{
    private readonly HttpClient _inventory = dapr.CreateInvokableHttpClient("inventory");

    /// <summary>The product as Inventory has it now; null when it has none.</summary>
    /// <exception cref="ServiceUnavailableException">Inventory did not say.</exception>
    public async Task<Product?> FindAsync(string sku, CancellationToken cancellationToken)
    {
        try
        {
            using var answer = await _inventory.GetAsync(new Uri($"/products/{sku}", UriKind.Relative), cancellationToken);
            return answer.StatusCode == HttpStatusCode.NotFound
                ? null
                : await answer.EnsureSuccessStatusCode().Content.ReadFromJsonAsync(OrderingJson.Default.Product, cancellationToken);
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException
            || (exception is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new ServiceUnavailableException(
                "inventory", $"The price of {sku} is not known here, and Inventory did not tell it.", exception);
        }
    }

    public void Dispose() => _inventory.Dispose();
}
