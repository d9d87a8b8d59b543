using System.Text.Json;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;

namespace DaprOrders.Shipping.CancellingShipments;

public enum PaymentInOrdering
{
    /// <summary>Ordering did not answer.</summary>
    Unknown,

    /// <summary>There is no such order, or it is not paid.</summary>
    NotPaid,

    Paid,
}

/// <summary>The order's own stream in Ordering, read by Dapr invocation: what no message has told here yet.</summary>
public sealed class PaymentsInOrdering(IPublisherStreams publishers, TimeProvider time, ILogger<PaymentsInOrdering> logger)
{
    private const string Publisher = "ordering";

    /// <summary>More than an order's stream can hold.</summary>
    private const int MostEvents = 100;

    /// <summary>Somebody waits for the answer with a request of their own.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public async Task<PaymentInOrdering> AskAsync(string orderId, CancellationToken cancellationToken)
    {
        using var patience = new CancellationTokenSource(Patience, time);
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, patience.Token);
        try
        {
            var events = await publishers.ReadAsync(Publisher, $"order-{orderId}", 0, MostEvents, limited.Token);
            return events.Any(recorded => recorded.Type == nameof(OrderPaid)) ? PaymentInOrdering.Paid : PaymentInOrdering.NotPaid;
        }
        catch (Exception exception) when (!cancellationToken.IsCancellationRequested
            && exception is HttpRequestException or OperationCanceledException or JsonException)
        {
            logger.LogWarning(exception, "Ordering could not be asked for order {OrderId}, whose shipment is to be stopped", orderId);
            return PaymentInOrdering.Unknown;
        }
    }
}
