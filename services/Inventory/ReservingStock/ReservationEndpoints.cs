using System.Diagnostics;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Inventory.ReservingStock;

public static class ReservationEndpoints
{
    public static void MapReservations(this IEndpointRouteBuilder routes) => routes
        .MapGet("/reservations/{orderId}", FindAsync)
        .WithSummary("What Inventory decided for an order.")
        .AnswersProblems(400, 404, 503);

    private static async Task<Results<Ok<ReservationView>, ProblemHttpResult>> FindAsync(string orderId, EventStore store, CancellationToken cancellationToken)
    {
        if (!FieldErrors.IsId(orderId))
        {
            return new FieldErrors().RequireId(orderId, nameof(orderId)).ToProblem();
        }

        var reservation = await store.LoadAsync(Reservation.Category, orderId, cancellationToken);
        return reservation.Exists
            ? TypedResults.Ok(ReservationView.Of(orderId, reservation))
            : Problems.NotFound("reservation-not-found", $"Nothing is decided for order {orderId} here: it does not exist, or it has not arrived yet.");
    }
}

/// <param name="Status">reserved, rejected, released or fulfilled.</param>
/// <param name="Lines">What the order asked for; empty when it was rejected.</param>
/// <param name="Shortages">Why it was rejected; empty otherwise.</param>
public sealed record ReservationView(
    string OrderId, string Status, IReadOnlyList<ReservedLine> Lines, IReadOnlyList<StockShortage> Shortages, long Version, DateTimeOffset? CreatedAt, DateTimeOffset? UpdatedAt)
{
    public static ReservationView Of(string orderId, StreamState<Reservation> reservation)
    {
        (string status, IReadOnlyList<ReservedLine> lines, IReadOnlyList<StockShortage> shortages) = reservation.State switch
        {
            Reservation.Reserved r => ("reserved", r.Lines, []),
            Reservation.Rejected r => ("rejected", [], r.Shortages),
            Reservation.Released r => ("released", r.Lines, []),
            Reservation.Fulfilled r => ("fulfilled", r.Lines, (IReadOnlyList<StockShortage>)[]),
            _ => throw new UnreachableException($"Nobody is shown a reservation that is {reservation.State}."),
        };
        return new ReservationView(orderId, status, lines, shortages, reservation.Version, reservation.CreatedAt, reservation.UpdatedAt);
    }
}
