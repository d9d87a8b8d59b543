using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace DaprOrders.Demo;

/// <summary>The public HTTP API of Ordering and Inventory, as any client sees it through Dapr invocation.</summary>
public sealed class ShopClient(Uri ordering, Uri inventory) : IDisposable
{
    private static readonly TimeSpan EndWithin = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan PollEvery = TimeSpan.FromMilliseconds(5);

    private readonly HttpClient _http = CreateClient();

    /// <summary>Puts a product on the price list, in euros.</summary>
    public async Task OfferAsync(string sku, string name, decimal price, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, new Uri(inventory, $"products/{sku}"))
        {
            Content = JsonContent.Create(new { name, price = new { amount = price, currency = "EUR" } }),
        };
        using var answer = await SendAsync(request, cancellationToken);
    }

    /// <summary>Puts pieces in stock; without a key of the caller's each call is a delivery of its own.</summary>
    public async Task ReceiveAsync(string sku, int quantity, CancellationToken cancellationToken, string? idempotencyKey = null)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(inventory, $"products/{sku}/receipts")) { Content = JsonContent.Create(new { quantity }) };
        request.Headers.Add("Idempotency-Key", idempotencyKey ?? Guid.NewGuid().ToString());
        using var answer = await SendAsync(request, cancellationToken);
    }

    public async Task<bool> KnowsAsync(string sku, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(inventory, $"products/{sku}"));
        using var answer = await SendAsync(request, cancellationToken, mayBeMissing: true);
        return answer.IsSuccessStatusCode;
    }

    /// <summary>Places an order of one piece.</summary>
    public async Task<PlacedOrder> PlaceAsync(string sku, string paymentMethod, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(ordering, "orders"))
        {
            Content = JsonContent.Create(new { customerId = "demo", paymentMethod, lines = new[] { new { sku, quantity = 1 } } }),
        };
        var placedAt = TimeProvider.System.GetTimestamp();
        using var answer = await SendAsync(request, cancellationToken);
        var order = await ReadAsync<Order>(answer, cancellationToken);
        return new(order.OrderId, placedAt);
    }

    /// <summary>The order once it is shipped or cancelled, and how long that took from before the POST.</summary>
    /// <exception cref="ShopException">It took more than 30 s.</exception>
    public async Task<(Order Order, TimeSpan Took)> WaitForEndAsync(PlacedOrder placed, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(PollEvery);
        while (true)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(ordering, $"orders/{placed.OrderId}"));
            using var answer = await SendAsync(request, cancellationToken);
            var order = await ReadAsync<Order>(answer, cancellationToken);
            var took = TimeProvider.System.GetElapsedTime(placed.Timestamp);
            if (order.Status is "shipped" or "cancelled")
                return (order, took);
            if (took > EndWithin)
                throw new ShopException($"Order {order.OrderId} is still {order.Status} after {took.TotalSeconds:0} s; the logs of the services tell why.");
            await timer.WaitForNextTickAsync(cancellationToken);
        }
    }

    public async Task<IReadOnlyList<OrderEvent>> EventsAsync(string orderId, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(ordering, $"orders/{orderId}/events"));
        using var answer = await SendAsync(request, cancellationToken);
        return await ReadAsync<List<OrderEvent>>(answer, cancellationToken);
    }

    public void Dispose() => _http.Dispose();

    /// <summary>Sidecars that ask for DAPR_API_TOKEN have it from the same environment.</summary>
    private static HttpClient CreateClient()
    {
        var http = new HttpClient { Timeout = TimeSpan.FromSeconds(10) };
        if (Environment.GetEnvironmentVariable("DAPR_API_TOKEN") is { Length: > 0 } token)
            http.DefaultRequestHeaders.Add("dapr-api-token", token);
        return http;
    }

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken, bool mayBeMissing = false)
    {
        try
        {
            var answer = await _http.SendAsync(request, cancellationToken);
            if (answer.IsSuccessStatusCode || (mayBeMissing && answer.StatusCode == HttpStatusCode.NotFound))
                return answer;
            var body = await answer.Content.ReadAsStringAsync(cancellationToken);
            answer.Dispose();
            throw new ShopException($"{request.Method} {request.RequestUri} answered {(int)answer.StatusCode}: {body}");
        }
        catch (HttpRequestException e)
        {
            throw new ShopException($"{request.Method} {request.RequestUri}: {e.Message}", e);
        }
        catch (TaskCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new ShopException($"{request.Method} {request.RequestUri} was not answered within {_http.Timeout.TotalSeconds:0} s.", e);
        }
    }

    private static async Task<T> ReadAsync<T>(HttpResponseMessage answer, CancellationToken cancellationToken)
    {
        try
        {
            return await answer.Content.ReadFromJsonAsync<T>(cancellationToken) ?? throw new JsonException("expected a value, got null");
        }
        catch (JsonException e)
        {
            throw new ShopException($"{answer.RequestMessage?.RequestUri} did not answer as expected: {e.Message}", e);
        }
    }
}

/// <param name="OrderId">As Ordering gave it.</param>
/// <param name="Timestamp">Of the system's clock, before the POST.</param>
public sealed record PlacedOrder(string OrderId, long Timestamp);

public sealed record Cancellation(string Reason);

public sealed record Order(string OrderId, string Status, Cancellation? Cancellation)
{
    /// <summary>The status, and why where it is cancelled: <c>cancelled (outOfStock)</c>.</summary>
    public string Outcome => Cancellation is null ? Status : $"{Status} ({Cancellation.Reason})";
}

public sealed record OrderEvent(int Version, string Type, DateTimeOffset OccurredAt);
