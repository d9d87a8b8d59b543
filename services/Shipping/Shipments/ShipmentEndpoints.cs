using System.Diagnostics;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Shipping.Shipments;

public static class ShipmentEndpoints
{
    public static void MapShipments(this IEndpointRouteBuilder routes) => routes
        .MapGet("/shipments/{orderId}", FindAsync)
        .WithSummary("The shipment of an order, as it is now.")
        .AnswersProblems(400, 404, 503);

    private static async Task<Results<Ok<ShipmentView>, ProblemHttpResult>> FindAsync(string orderId, EventStore store, CancellationToken cancellationToken)
    {
        if (!FieldErrors.IsId(orderId))
        {
            return new FieldErrors().RequireId(orderId, nameof(orderId)).ToProblem();
        }

        var shipment = await store.LoadAsync(Shipment.Category, orderId, cancellationToken);
        return shipment.Exists
            ? TypedResults.Ok(ShipmentView.Of(orderId, shipment))
            : Problems.NotFound(Refusals.NotFound, $"Order {orderId} has no shipment: it is not paid, or its payment has not arrived here yet.");
    }
}

/// <param name="Status">requested, dispatched or cancelled.</param>
/// <param name="TrackingNumber">Once it is dispatched.</param>
/// <param name="UpdatedAt">When it came into this status.</param>
public sealed record ShipmentView(string OrderId, string Status, string? TrackingNumber, long Version, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt)
{
    public static ShipmentView Of(string orderId, StreamState<Shipment> shipment) => new(
        orderId,
        shipment.State switch
        {
            Shipment.Requested => "requested",
            Shipment.Dispatched => "dispatched",
            Shipment.Cancelled => "cancelled",
            _ => throw new UnreachableException($"Nobody is shown a shipment that is {shipment.State}."),
        },
        (shipment.State as Shipment.Dispatched)?.TrackingNumber,
        shipment.Version,
        shipment.CreatedAt.GetValueOrDefault(),
        shipment.UpdatedAt.GetValueOrDefault());

    /// <summary>Handles a command and answers with the shipment, or with the refusal: 404 when there is none, otherwise 409.</summary>
    public static async Task<Results<Ok<ShipmentView>, ProblemHttpResult>> AfterAsync(
        ShipmentCommand command, EventStore store, CancellationToken cancellationToken)
    {
        if (!FieldErrors.IsId(command.OrderId))
        {
            return new FieldErrors().RequireId(command.OrderId, "orderId").ToProblem();
        }

        var handled = await store.HandleAsync(
            Shipment.Category, command.OrderId, shipment => ShipmentDecider.Decide(shipment, command), new CommandContext(), cancellationToken);
        return handled.Refusal switch
        {
            null => TypedResults.Ok(Of(command.OrderId, handled.Stream)),
            { Code: Refusals.NotFound } refusal => Problems.NotFound(refusal.Code, refusal.Reason),
            var refusal => Problems.Conflict(refusal.Code, refusal.Reason),
        };
    }
}
