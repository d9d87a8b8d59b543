using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Payments.Payments;

public static class PaymentEndpoints
{
    /// <summary>Far above what the table of <see cref="PaymentDecider"/> can append to one payment.</summary>
    private const int MostEvents = 100;

    public static void MapPayments(this IEndpointRouteBuilder routes) => routes
        .MapGet("/payments/{orderId}", FindAsync)
        .WithSummary("The payment of an order, and how it came to be as it is.")
        .AnswersProblems(400, 404, 503);

    private static async Task<Results<Ok<PaymentView>, ProblemHttpResult>> FindAsync(
        string orderId, EventStore store, EventTypes types, CancellationToken cancellationToken)
    {
        if (!FieldErrors.IsId(orderId))
        {
            return new FieldErrors().RequireId(orderId, nameof(orderId)).ToProblem();
        }

        var recorded = await store.ReadStreamAsync(Payment.Category.StreamOf(orderId), 0, MostEvents, cancellationToken);
        return recorded.Count > 0
            ? TypedResults.Ok(PaymentView.Of(orderId, recorded, types))
            : Problems.NotFound("payment-not-found", $"Order {orderId} has no payment: its goods are not held, or that has not arrived here yet.");
    }
}

/// <param name="Status">
/// requested (the charge's outcome is not known), authorized, declined, voided (nothing was charged), refunded, or refundRefused (the order is
/// cancelled, and the provider will not give the charge back: people must see to it); while a refund is on its way it stays what it was.
/// </param>
/// <param name="Amount">Null when the order was cancelled before it came to a charge.</param>
public sealed record PaymentView(string OrderId, string Status, Money? Amount, IReadOnlyList<PaymentHistoryEntry> History)
{
    public static PaymentView Of(string orderId, IReadOnlyList<RecordedEvent> recorded, EventTypes types)
    {
        var events = recorded.Select(types.Read).Cast<PaymentEvent>().ToList();
        return new PaymentView(
            orderId,
            StatusOf(events.Aggregate(Payment.Category.Initial, Payment.Evolve)),
            events.OfType<PaymentRequested>().SingleOrDefault()?.Amount,
            [.. recorded.Select(e => new PaymentHistoryEntry(e.Version, e.Type, e.OccurredAt, e.Data, e.FoundBy))]);
    }

    private static string StatusOf(Payment payment) => payment switch
    {
        Payment.Requested or Payment.CancelledWhileCharging => "requested",
        Payment.Authorized or Payment.RefundDue => "authorized",
        Payment.Declined => "declined",
        Payment.Voided => "voided",
        Payment.RefundBlocked => "refundRefused",
        Payment.Refunded => "refunded",
        _ => throw new UnreachableException($"Nobody is shown a payment that is {payment.GetType().Name}."),
    };
}

/// <param name="Type">For instance PaymentAuthorized.</param>
/// <param name="Data">The event's payload.</param>
/// <param name="FoundBy">Only where the order's event that led to it did not come by its topic: catchUp (found in Ordering's log, late) or gap.</param>
public sealed record PaymentHistoryEntry(
    long Version,
    string Type,
    DateTimeOffset OccurredAt,
    JsonElement Data,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? FoundBy);
