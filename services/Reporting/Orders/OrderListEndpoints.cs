using DaprOrders.Contracts;
using DaprOrders.Reporting.Following;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Reporting.Orders;

internal sealed record CancellationView(string Reason, string? Detail, DateTimeOffset At);

internal sealed record ShipmentView(string TrackingNumber, DateTimeOffset At);

internal sealed record HistoryView(string Status, DateTimeOffset At);

/// <param name="Version">Of the order's stream.</param>
/// <param name="Reservation">reserved, rejected, released, fulfilled; null when Inventory has said nothing yet.</param>
/// <param name="Payment">requested, authorized, declined, voided, refundRequested, refunded, refundRefused.</param>
internal sealed record OrderView(
    string OrderId,
    string CustomerId,
    string Status,
    long Version,
    Money Total,
    IReadOnlyList<OrderLine> Lines,
    CancellationView? Cancellation,
    ShipmentView? Shipment,
    string? Reservation,
    string? Payment,
    IReadOnlyList<HistoryView> History,
    DateTimeOffset CreatedAt,
    DateTimeOffset UpdatedAt)
{
    /// <param name="order">One that is listed: its first event is known.</param>
    public static OrderView Of(OrderSummary order) => new(
        order.OrderId,
        order.CustomerId!,
        order.Status!,
        order.Version,
        order.Total!,
        order.Lines,
        order.Cancellation is { } cancellation ? new CancellationView(cancellation.Reason, cancellation.Detail, order.History[^1].At) : null,
        order.TrackingNumber is { } tracking ? new ShipmentView(tracking, order.History[^1].At) : null,
        order.Reservation,
        order.Payment,
        [.. order.History.Select(change => new HistoryView(change.Status, change.At))],
        order.History[0].At,
        order.UpdatedAt);
}

/// <param name="Cursor">Of the next page; null at the end. A page may be short, or empty, and still have a next one.</param>
internal sealed record OrderListView(IReadOnlyList<OrderView> Orders, string? Cursor);

internal static class OrderListEndpoints
{
    private const int MostOrders = 200;
    private const int UsualOrders = 50;

    public static void MapOrderLists(this WebApplication app)
    {
        app.MapGet("/customers/{customerId}/orders", OfCustomerAsync).WithTags("Orders").AnswersProblems(400, 503)
            .WithSummary("A customer's orders, newest first; empty for a customer who has none.")
            .RequireCustomerOfRoute();
        app.MapGet("/orders", AllAsync).WithTags("Orders").AnswersProblems(400, 503)
            .WithSummary("All orders, newest first, of one status (created, stockReserved, paid, shipped, cancelled) or of all.");
    }

    private static async Task<Results<Ok<OrderListView>, ProblemHttpResult>> OfCustomerAsync(
        Projections projections, string customerId, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().RequireId(customerId, "customerId").RequireRange(limit ?? UsualOrders, "limit", 1, MostOrders);
        if (errors.Any)
            return errors.ToProblem();

        var orders = await projections.ServingOrdersAsync(cancellationToken);
        return Answer(await orders.ReadOfCustomerAsync(customerId, cursor, limit ?? UsualOrders, cancellationToken), errors);
    }

    private static async Task<Results<Ok<OrderListView>, ProblemHttpResult>> AllAsync(
        Projections projections, string? status, string? cursor, int? limit, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors()
            .RequireStatus(status)
            .RequireRange(limit ?? UsualOrders, "limit", 1, MostOrders);
        if (errors.Any)
            return errors.ToProblem();

        var orders = await projections.ServingOrdersAsync(cancellationToken);
        return Answer(await orders.ReadAllAsync(status, cursor, limit ?? UsualOrders, cancellationToken), errors);
    }

    private static Results<Ok<OrderListView>, ProblemHttpResult> Answer(OrderPage? page, FieldErrors errors) => page is null
        ? errors.Add("cursor", "Expected the 'cursor' of an earlier page of this list. After a rebuild, begin again without one.").ToProblem()
        : TypedResults.Ok(new OrderListView([.. page.Orders.Select(OrderView.Of)], page.Next));
}
