using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Errors;
using DaprOrders.Shipping.Shipments;

namespace DaprOrders.Shipping.DispatchingShipments;

public static class DispatchEndpoint
{
    public static void MapDispatching(this IEndpointRouteBuilder routes) => routes
        .MapPost("/shipments/{orderId}/dispatch", (string orderId, EventStore store, CancellationToken cancellationToken) =>
            ShipmentView.AfterAsync(new ShipmentCommand.Dispatch(orderId), store, cancellationToken))
        .WithSummary("Sends a paid order off; needed where Shipping:AutoDispatch is false. Again 200 when it has left already.")
        .AnswersProblems(400, 404, 409, 503);
}
