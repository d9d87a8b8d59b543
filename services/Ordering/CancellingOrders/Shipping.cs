using System.Net;
using Dapr.Client;
using DaprOrders.EventSourcing;

namespace DaprOrders.Ordering.CancellingOrders;

/// <summary>Shipping, asked by Dapr invocation: it alone decides whether a shipment can still be stopped.</summary>
public sealed class Shipping(DaprClient dapr) : IDisposable
{
    private readonly HttpClient _shipping = Invocation.CreateClient(dapr, "shipping");

    /// <summary>True: nothing will ever be sent for this order. False: it is on its way.</summary>
    /// <param name="reason">The customer's words: Shipping's answer may reach the order's stream by itself, before the caller does.</param>
    /// <exception cref="ServiceUnavailableException">Shipping did not say.</exception>
    public async Task<bool> TryStopAsync(string orderId, string? reason, CancellationToken cancellationToken)
    {
        try
        {
            using var body = JsonBody.Of(new CancelOrderRequest(reason), OrderingJson.Default.CancelOrderRequest);
            using var answer = await _shipping.PostAsync(new Uri($"/shipments/{orderId}/cancellation", UriKind.Relative), body, cancellationToken);
            return answer.StatusCode != HttpStatusCode.Conflict && answer.EnsureSuccessStatusCode().IsSuccessStatusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException
            || (exception is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new ServiceUnavailableException("shipping", $"Shipping could not be asked to stop order {orderId}.", exception);
        }
    }

    public void Dispose() => _shipping.Dispose();
}
