using DaprOrders.Contracts;
using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.Inventory.ManagingProducts;

public static class ProductEndpoints
{
    public const int LongestName = 200;
    public const int MostPerPage = 100;
    public const decimal HighestPrice = Money.HighestAmount;

    public static void MapProducts(this IEndpointRouteBuilder routes)
    {
        routes.MapPut("/products/{sku}", PutAsync)
            .WithSummary("Lists a product (201), or changes its name and price (200).")
            .AnswersProblems(400, 413, 415, 503);
        routes.MapGet("/products/{sku}", FindAsync)
            .WithSummary("A product with its price and its stock.")
            .AllowAnonymous()
            .AnswersProblems(400, 404, 503);
        routes.MapPost("/products/lookup", LookUpAsync)
            .WithSummary("Names and prices of many products in one call; those that are not on the price list are left out.")
            .AllowAnonymous()
            .AnswersProblems(400, 413, 415, 503);
        routes.MapGet("/products", ReadAsync)
            .WithSummary("The price list in the order of the SKUs; `next` is the `after` of the following page.")
            .AllowAnonymous()
            .AnswersProblems(400, 503);
    }

    public static ProblemHttpResult UnknownSku(string sku) =>
        Problems.NotFound("unknown-sku", $"The price list has no SKU {sku}. Put it there first: PUT /products/{sku}.");

    private static async Task<Results<Created<ProductView>, Ok<ProductView>, ProblemHttpResult>> PutAsync(
        string sku, ProductRequest request, Products products, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors()
            .RequireId(sku, nameof(sku))
            .RequireText(request.Name, "name", LongestName)
            .Require(
                request.Price.Amount is > 0 and <= HighestPrice && decimal.Round(request.Price.Amount, 2) == request.Price.Amount,
                "price.amount",
                $"Expected an amount above 0, at most {HighestPrice}, with at most two decimals; got {request.Price.Amount}.")
            .Require(
                request.Price.Currency.Length == 3 && request.Price.Currency.All(char.IsAsciiLetterUpper),
                "price.currency",
                "Expected three capital letters (ISO 4217), for instance EUR.");
        if (errors.Any)
        {
            return errors.ToProblem();
        }

        var (product, isNew) = await products.PutAsync(sku, new Product(request.Name, request.Price), cancellationToken);
        return isNew ? TypedResults.Created($"/products/{sku}", product) : TypedResults.Ok(product);
    }

    private static async Task<Results<Ok<ProductView>, ProblemHttpResult>> FindAsync(string sku, Products products, CancellationToken cancellationToken)
    {
        if (!FieldErrors.IsId(sku))
        {
            return new FieldErrors().RequireId(sku, nameof(sku)).ToProblem();
        }

        return await products.FindAsync(sku, cancellationToken) is { } product ? TypedResults.Ok(product) : UnknownSku(sku);
    }

    private static async Task<Results<Ok<ProductsFound>, ProblemHttpResult>> LookUpAsync(
        ProductLookup request, Products products, CancellationToken cancellationToken)
    {
        var errors = new FieldErrors().Require(
            request.Skus.Count is >= 1 and <= MostPerPage, "skus", $"Expected 1-{MostPerPage} SKUs; got {request.Skus.Count}.");
        for (var i = 0; i < request.Skus.Count && i < MostPerPage; i++)
        {
            errors.RequireId(request.Skus[i], $"skus[{i}]");
        }

        return errors.Any ? errors.ToProblem() : TypedResults.Ok(new ProductsFound(await products.FindListedAsync(request.Skus, cancellationToken)));
    }

    private static async Task<Results<Ok<ProductPage>, ProblemHttpResult>> ReadAsync(
        Products products, CancellationToken cancellationToken, string? after = null, int limit = 50)
    {
        var errors = new FieldErrors().RequireRange(limit, nameof(limit), 1, MostPerPage);
        if (!string.IsNullOrEmpty(after))
        {
            errors.RequireId(after, nameof(after));
        }

        return errors.Any ? errors.ToProblem() : TypedResults.Ok(await products.ReadAsync(after, limit, cancellationToken));
    }
}

/// <param name="Skus">1-100.</param>
public sealed record ProductLookup(IReadOnlyList<string> Skus);

/// <param name="Products">In the order asked for, each once; without those that are not on the price list.</param>
public sealed record ProductsFound(IReadOnlyList<ListedProduct> Products);

/// <param name="Name">1-200 characters.</param>
/// <param name="Price">Above 0, at most 1,000,000, two decimals.</param>
public sealed record ProductRequest(string Name, Money Price);
