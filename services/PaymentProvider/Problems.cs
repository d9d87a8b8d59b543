using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http.HttpResults;

namespace DaprOrders.PaymentProvider;

/// <summary>Errors as RFC 9457 problem details; <c>type</c> is <c>urn:payment-provider:{code}</c> and <c>code</c> repeats its last part.</summary>
public static class Problems
{
    public static ProblemHttpResult Of(int status, string code, string title, string? detail = null) => TypedResults.Problem(
        detail, statusCode: status, title: title, type: $"urn:payment-provider:{code}", extensions: [KeyValuePair.Create<string, object?>("code", code)]);

    public static ProblemHttpResult Invalid(params IReadOnlyList<(string Field, string Error)> errors) => TypedResults.Problem(
        statusCode: StatusCodes.Status400BadRequest,
        title: "The request is not valid.",
        type: "urn:payment-provider:invalid-request",
        extensions:
        [
            KeyValuePair.Create<string, object?>("code", "invalid-request"),
            KeyValuePair.Create<string, object?>("errors", errors.GroupBy(error => error.Field).ToDictionary(field => field.Key, field => field.Select(error => error.Error).ToArray())),
        ]);

    public static void AddProblemAnswers(this IServiceCollection services)
    {
        services.AddProblemDetails(options => options.CustomizeProblemDetails = answer =>
        {
            if (answer.ProblemDetails.Type?.StartsWith("urn:", StringComparison.Ordinal) != true)
            {
                answer.ProblemDetails.Type = $"urn:payment-provider:{CodeOf(answer.ProblemDetails.Status)}";
            }
        });
        services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        services.ConfigureHttpJsonOptions(options => options.SerializerOptions.NumberHandling = JsonNumberHandling.Strict);
        services.AddExceptionHandler<BadRequestAnswers>();
        services.AddExceptionHandler<JournalFaultAnswers>();
    }

    public static void UseProblemAnswers(this WebApplication app)
    {
        app.UseExceptionHandler();
        app.UseStatusCodePages();
    }

    private static string CodeOf(int? status) => status switch
    {
        404 => "not-found",
        405 => "method-not-allowed",
        413 => "too-large",
        415 => "unsupported-media-type",
        < 500 => "invalid-request",
        _ => "internal-error",
    };

    private sealed class JournalFaultAnswers : IExceptionHandler
    {
        public async ValueTask<bool> TryHandleAsync(HttpContext context, Exception exception, CancellationToken cancellationToken)
        {
            if (exception is not JournalFaultException fault)
            {
                return false;
            }

            await Of(503, "try-again", "The ledger cannot be written.", $"{fault.Message} Once it can be, try again with the same Idempotency-Key.").ExecuteAsync(context);
            return true;
        }
    }

    private sealed class BadRequestAnswers : IExceptionHandler
    {
        public async ValueTask<bool> TryHandleAsync(HttpContext context, Exception exception, CancellationToken cancellationToken)
        {
            // The framework gives up on a charset that it does not know, after it has taken the content type.
            var bad = exception is InvalidOperationException { Source: "Microsoft.AspNetCore.Http.Extensions" }
                && context.Request.GetTypedHeaders().ContentType is { Charset.HasValue: true }
                ? new BadHttpRequestException("Unknown charset.", StatusCodes.Status415UnsupportedMediaType)
                : exception as BadHttpRequestException;
            if (bad is null)
            {
                return false;
            }

            await Of(bad.StatusCode, CodeOf(bad.StatusCode), "The request cannot be read.", CauseOf(bad)).ExecuteAsync(context);
            return true;
        }

        /// <summary>The framework's own words name types of this program.</summary>
        private static string CauseOf(BadHttpRequestException bad) => bad switch
        {
            { InnerException: JsonException { Path: { Length: > 1 } path } } => $"The value of '{path.TrimStart('$', '.')}' is not of the type that is expected.",
            { StatusCode: StatusCodes.Status415UnsupportedMediaType } => "Expected a JSON body: send Content-Type application/json.",
            { StatusCode: StatusCodes.Status413PayloadTooLarge } => "The body is too large.",
            _ => "Expected a JSON object as the body, and whole numbers in the query.",
        };
    }
}
