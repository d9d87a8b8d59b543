using System.Text.Json;
using Dapr.Client;
using DaprOrders.EventSourcing;

namespace DaprOrders.Ordering.Pricing;

/// <summary>Inventory's price list, asked by Dapr invocation: <c>POST /products/lookup</c>.</summary>
public sealed class InventoryProducts(DaprClient dapr) : IDisposable
{
    private const int ShownSkus = 3;

    private readonly HttpClient _inventory = Invocation.CreateClient(dapr, "inventory");

    /// <summary>Those of the products that Inventory has, as it has them now, in one call.</summary>
    /// <param name="skus">As many as an order may have lines.</param>
    /// <exception cref="ServiceUnavailableException">Inventory did not say.</exception>
    public async Task<IReadOnlyList<Product>> FindAsync(IReadOnlyCollection<string> skus, CancellationToken cancellationToken)
    {
        try
        {
            using var body = JsonBody.Of(new ProductLookup(skus), OrderingJson.Default.ProductLookup);
            using var answer = await _inventory.PostAsync(new Uri("/products/lookup", UriKind.Relative), body, cancellationToken);
            var found = await answer.EnsureSuccessStatusCode().Content.ReadFromJsonAsync(OrderingJson.Default.ProductsFound, cancellationToken);
            return found?.Products ?? throw new JsonException("Inventory answered null.");
        }
        catch (Exception exception) when (exception is HttpRequestException or JsonException
            || (exception is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var shown = string.Join(", ", skus.Take(ShownSkus)) + (skus.Count > ShownSkus ? $" and {skus.Count - ShownSkus} more" : "");
            throw new ServiceUnavailableException(
                "inventory", $"The price of {shown} is not known here, and Inventory did not tell it.", exception);
        }
    }

    public void Dispose() => _inventory.Dispose();
}

internal sealed record ProductLookup(IReadOnlyCollection<string> Skus);

internal sealed record ProductsFound(IReadOnlyList<Product>? Products);
