using System.Globalization;
using DaprOrders.Contracts;
using DaprOrders.EventSourcing;
using DaprOrders.Ordering.FollowingOrders;
using DaprOrders.Ordering.Orders;
using DaprOrders.Ordering.Pricing;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DaprOrders.Ordering.PlacingOrders;

public static class PlaceOrderEndpoint
{
    // Ten thousand lines still fit, so that they are answered by what is wrong with them.
    private const int MaxBodyBytes = 1024 * 1024;

    public static void MapPlacingOrders(this IEndpointRouteBuilder routes) => routes.MapPost("/orders", PlaceAsync)
        .WithName("PlaceOrder")
        .WithSummary("Places an order; 201 means that it is durable. With an Idempotency-Key, a repeated request answers 200 and the same order.")
        .WithTags("Orders")
        .RequireAuthorization(Policies.Buyer)
        .WithMetadata(new RequestSizeLimitAttribute(MaxBodyBytes))
        .AnswersProblems(400, 413, 415, 422, 503);

    private static async Task<Results<Created<OrderView>, Ok<OrderView>, ProblemHttpResult>> PlaceAsync(
        PlaceOrderRequest request,
        [FromHeader(Name = IdempotencyKey.Header)] string? idempotencyKey,
        HttpContext http,
        PriceList prices,
        EventStore store,
        OrdersUnderway underway,
        CancellationToken cancellationToken)
    {
        // Nothing can be known of an order without a key, so in a flood the refusal costs no more than it must.
        if (idempotencyKey is null && underway.AreTooMany())
            return Overloaded(http);

        if (request.CustomerId is { } customerId && !http.MayActFor(customerId))
            return Buyers.NotYours();

        var errors = new FieldErrors();
        var wanted = WantedOrder.Read(request, errors);
        if (idempotencyKey is not null)
            errors.Require(IdempotencyKey.IsValid(idempotencyKey), IdempotencyKey.Header, IdempotencyKey.Expected);
        if (wanted is null || errors.Any)
            return errors.ToProblem();

        var wish = Wish.Of(wanted, idempotencyKey);
        if (idempotencyKey is not null && await store.LoadAsync(Order.Category, wish.OrderId, cancellationToken) is { State: Order.Placed placed } present)
            return OrderDecider.PlaceAgain(placed, wish.Fingerprint).Refusal is { } reused ? Problems.Unprocessable(reused.Code, reused.Reason) : Replayed(present, http);

        var products = await prices.FindAsync([.. wanted.Lines.Select(line => line.Sku)], cancellationToken);
        if (WhatCannotBeSold(wanted, products) is { } problem)
            return problem;

        var command = CommandOf(wish, products!);
        if (command.Total.Amount > Money.HighestAmount)
            return TooHigh(command.Total);

        if (!underway.TryEnter(command.OrderId))
            return Overloaded(http);

        Handled<Order> handled;
        try
        {
            handled = await store.HandleAsync(
                Order.Category,
                command.OrderId,
                order => OrderDecider.Decide(order, command),
                new CommandContext(LikelyNew: true),
                // Begun is ended, though nobody waits for the answer: else nobody here could say whether the order is on its way. The store's own limits hold.
                CancellationToken.None);
        }
        catch
        {
            // A store that was away must not leave room for nobody when it is back.
            underway.Leave(command.OrderId);
            throw;
        }

        if (handled.Refusal is { } refusal)
            return Problems.Unprocessable(refusal.Code, refusal.Reason);

        if (handled.Appended.Count == 0)
            return Replayed(handled.Stream, http);

        return TypedResults.Created($"/orders/{command.OrderId}", Shown(handled.Stream, http));
    }

    private static ProblemHttpResult Overloaded(HttpContext http) => Problems.TryLater(
        http, "overloaded", "More orders were accepted than have come to their payment yet. This request ordered nothing; try again in a second, with the same Idempotency-Key if it had one.");

    private static Ok<OrderView> Replayed(StreamState<Order> stream, HttpContext http)
    {
        http.Response.Headers[IdempotencyKey.ReplayedHeader] = "true";
        return TypedResults.Ok(Shown(stream, http));
    }

    private static OrderView Shown(StreamState<Order> stream, HttpContext http)
    {
        var view = OrderView.Of(stream)!;
        http.Response.Headers.ETag = ETags.Of(view.Version);
        return view;
    }

    private static ProblemHttpResult? WhatCannotBeSold(WantedOrder wanted, Product?[] products)
    {
        FieldProblems? problems = null;
        for (var i = 0; i < products.Length; i++)
        {
            if (products[i] is null)
                (problems ??= []).Add(wanted.Lines[i].Field, [$"There is no product {wanted.Lines[i].Sku}."]);
        }

        if (problems is not null)
            return problems.ToProblem("unknown-sku", "The price list has no such product; see 'errors'.");

        var currency = products[0]!.Price.Currency;
        var other = Array.FindIndex(products, product => product!.Price.Currency != currency);
        return other < 0 ? null : new FieldProblems
        {
            [wanted.Lines[other].Field] = [$"It is sold in {products[other]!.Price.Currency}, {wanted.Lines[0].Sku} in {currency}."],
        }.ToProblem("mixed-currencies", "An order has one currency; place one order for each.");
    }

    private static ProblemHttpResult TooHigh(Money total) => new FieldProblems
    {
        ["lines"] = [string.Create(CultureInfo.InvariantCulture, $"They cost {total.Amount} {total.Currency}; one order may cost at most {Money.HighestAmount} {total.Currency}.")],
    }.ToProblem("total-too-high", "The order costs more than can be paid at once; split it.");

    private static OrderCommand.Place CommandOf(Wish wish, Product[] products)
    {
        var wanted = wish.Wanted;
        var lines = new OrderLine[products.Length];
        for (var i = 0; i < lines.Length; i++)
            lines[i] = new(products[i].Sku, products[i].Name, wanted.Lines[i].Quantity, products[i].Price);

        return new(
            wish.OrderId,
            wanted.CustomerId,
            wanted.PaymentMethod,
            lines,
            lines.Select(line => line.UnitPrice * line.Quantity).Aggregate((sum, next) => sum + next),
            wish.Fingerprint);
    }

    /// <summary>A wanted order under the id that it will have.</summary>
    private sealed record Wish(WantedOrder Wanted, string OrderId, string? Fingerprint)
    {
        public static Wish Of(WantedOrder wanted, string? idempotencyKey) => idempotencyKey is null
            ? new(wanted, Guid.CreateVersion7().ToString("N"), null)
            : new(wanted, IdempotencyKey.OrderIdOf(wanted.CustomerId, idempotencyKey), IdempotencyKey.FingerprintOf(wanted));
    }

    private sealed class FieldProblems : Dictionary<string, string[]>
    {
        public ProblemHttpResult ToProblem(string code, string detail) =>
            Problems.Of(StatusCodes.Status422UnprocessableEntity, code, detail, new Dictionary<string, object?> { ["errors"] = this });
    }
}
