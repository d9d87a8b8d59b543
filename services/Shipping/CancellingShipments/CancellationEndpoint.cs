using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Errors;
using DaprOrders.Shipping.Shipments;

namespace DaprOrders.Shipping.CancellingShipments;

public static class CancellationEndpoint
{
    public static void MapCancelling(this IEndpointRouteBuilder routes) => routes
        .MapPost("/shipments/{orderId}/cancellation", (string orderId, EventStore store, CancellationToken cancellationToken) =>
            ShipmentView.AfterAsync(new ShipmentCommand.Cancel(orderId), store, cancellationToken))
        .WithSummary("Stops a shipment, also one that is not known yet: 200, nothing will be sent, whatever arrives later. 409: it has left.")
        .AnswersProblems(400, 409, 503);
}
