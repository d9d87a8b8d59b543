using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;

namespace DaprOrders.ServiceDefaults.Errors;

/// <summary>Problem details (RFC 9457); their <c>type</c> is a stable URN, <c>urn:daprorders:{code}</c>.</summary>
public static class Problems
{
    public static ProblemHttpResult NotFound(string code, string detail) => Of(StatusCodes.Status404NotFound, code, detail);

    public static ProblemHttpResult Conflict(string code, string detail) => Of(StatusCodes.Status409Conflict, code, detail);

    public static ProblemHttpResult Unprocessable(string code, string detail) => Of(StatusCodes.Status422UnprocessableEntity, code, detail);

    /// <summary>503, with the seconds after which the client may try again.</summary>
    public static ProblemHttpResult TryLater(HttpContext context, string code, string detail)
    {
        context.Response.Headers.RetryAfter = "1";
        return Of(StatusCodes.Status503ServiceUnavailable, code, detail);
    }

    /// <param name="code">Kebab case, for instance <c>unknown-sku</c>.</param>
    /// <param name="detail">For people: what was expected, what came, what to do.</param>
    public static ProblemHttpResult Of(int status, string code, string detail, IReadOnlyDictionary<string, object?>? extensions = null) =>
        TypedResults.Problem(Describe(status, code, detail, extensions));

    /// <summary>Tells OpenAPI which problems an endpoint answers.</summary>
    public static TBuilder AnswersProblems<TBuilder>(this TBuilder builder, params int[] statuses)
        where TBuilder : IEndpointConventionBuilder
    {
        foreach (var status in statuses)
        {
            builder.WithMetadata(new ProducesResponseTypeMetadata(status, typeof(ProblemDetails), ["application/problem+json"]));
        }

        return builder;
    }

    internal static ProblemDetails Describe(
        int status, string code, string detail, IReadOnlyDictionary<string, object?>? extensions = null) => new()
        {
            Status = status,
            Type = $"urn:daprorders:{code}",
            Title = TitleOf(code),
            Detail = detail,
            Extensions = extensions?.ToDictionary() ?? [],
        };

    private static string TitleOf(string code) => char.ToUpperInvariant(code[0]) + code[1..].Replace('-', ' ');
}
