using DaprOrders.Inventory.ManagingProducts;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DaprOrders.Inventory.ReceivingStock;

public static class ReceiptEndpoint
{
    public const int MostAtOnce = 1_000_000;
    private const string KeyHeader = "Idempotency-Key";
    private const int LongestKey = 255;

    public static void MapReceipts(this IEndpointRouteBuilder routes) => routes
        .MapPost("/products/{sku}/receipts", BookAsync)
        .WithSummary("Takes goods into stock and answers with the product. Under an Idempotency-Key (1-255 visible ASCII) once, however often it is asked.")
        .AnswersProblems(400, 404, 413, 415, 422, 503);

    private static async Task<Results<Ok<ProductView>, ProblemHttpResult>> BookAsync(
        string sku,
        ReceiptRequest request,
        [FromHeader(Name = KeyHeader)] string? key,
        Products products,
        Receipts receipts,
        HttpContext context,
        CancellationToken cancellationToken)
    {
        var errors = new FieldErrors()
            .RequireId(sku, nameof(sku))
            .RequireRange(request.Quantity, "quantity", 1, MostAtOnce)
            .Require(
                key is null || (key.Length is >= 1 and <= LongestKey && key.All(character => character is > ' ' and <= '~')),
                KeyHeader,
                $"Expected 1-{LongestKey} visible ASCII characters.");
        if (errors.Any)
        {
            return errors.ToProblem();
        }

        if (await products.FindAsync(sku, cancellationToken) is null)
        {
            return ProductEndpoints.UnknownSku(sku);
        }

        var outcome = await receipts.BookAsync(sku, request.Quantity, key, cancellationToken);
        if (outcome == ReceiptOutcome.KeyReused)
        {
            return Problems.Unprocessable(
                "idempotency-key-reused", $"This Idempotency-Key stands for a receipt of another quantity of {sku}. Send that again, or take a new key.");
        }

        if (outcome == ReceiptOutcome.Replayed)
        {
            context.Response.Headers["Idempotency-Replayed"] = "true";
        }

        return TypedResults.Ok(await products.FindAsync(sku, cancellationToken));
    }
}

/// <param name="Quantity">1 to 1,000,000.</param>
public sealed record ReceiptRequest(int Quantity);
