using System.Text.Json;
using System.Text.RegularExpressions;
using DaprOrders.EventSourcing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.Errors;

internal static class ProblemRegistration
{
    public static void AddProblems(this WebApplicationBuilder builder)
    {
        builder.Services.AddProblemDetails();
        builder.Services.AddExceptionHandler<ExceptionsToProblems>();
        // A body that cannot be bound reaches the handler below, in every environment.
        builder.Services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        builder.Services.ConfigureHttpJsonOptions(options =>
        {
            options.SerializerOptions.RespectNullableAnnotations = true;
            options.SerializerOptions.RespectRequiredConstructorParameters = true;
            options.SerializerOptions.AllowDuplicateProperties = false;
        });
    }
}

/// <summary>Every exception that leaves an endpoint, as problem details; only the unexpected ones are logged as errors.</summary>
internal sealed partial class ExceptionsToProblems(ILogger<ExceptionsToProblems> logger) : IExceptionHandler
{
    /// <summary>Seconds after which a client may try again.</summary>
    private const string RetryAfter = "1";

    public async ValueTask<bool> TryHandleAsync(HttpContext context, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is OperationCanceledException && context.RequestAborted.IsCancellationRequested)
        {
            context.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            return true;
        }

        await ProblemOf(context, exception).ExecuteAsync(context);
        return true;
    }

    private ProblemHttpResult ProblemOf(HttpContext context, Exception exception)
    {
        switch (exception)
        {
            case EventStoreUnavailableException unavailable:
                logger.LogWarning(unavailable, "{Method} {Path} answered 503: the store is not available", context.Request.Method, context.Request.Path);
                context.Response.Headers.RetryAfter = RetryAfter;
                return Problems.Of(StatusCodes.Status503ServiceUnavailable, "store-unavailable", unavailable.Message);
            case WrongVersionException wrong:
                return Problems.Of(StatusCodes.Status412PreconditionFailed, "stale-version", wrong.Message, new Dictionary<string, object?>
                {
                    ["expected"] = wrong.Expected,
                    ["actual"] = wrong.Actual,
                });
            case EventTooLargeException tooLarge:
                return Problems.Of(StatusCodes.Status413PayloadTooLarge, "too-large", tooLarge.Message);
            case BadHttpRequestException { InnerException: JsonException json }:
                return Invalid(json);
            case JsonException json:
                return Invalid(json);
            case BadHttpRequestException bad:
                return BadRequest(bad);
            default:
                logger.LogError(exception, "{Method} {Path} failed", context.Request.Method, context.Request.Path);
                return Problems.Of(
                    StatusCodes.Status500InternalServerError, "internal-error", "The request failed on the server; its log has the reason under this trace id.");
        }
    }

    private static ProblemHttpResult BadRequest(BadHttpRequestException bad) => bad.StatusCode switch
    {
        StatusCodes.Status413PayloadTooLarge => Problems.Of(bad.StatusCode, "too-large", bad.Message),
        StatusCodes.Status415UnsupportedMediaType => Problems.Of(
            bad.StatusCode, "unsupported-media-type", "Expected a JSON body: send Content-Type application/json."),
        // "Failed to bind parameter "int limit" from "x"." names the parameter; "Required parameter ..." does too.
        _ when Parameter().Match(bad.Message) is { Success: true } match =>
            new FieldErrors().Add(match.Groups["name"].Value, bad.Message).ToProblem(),
        _ => Problems.Of(bad.StatusCode, "invalid-request", bad.Message),
    };

    private static ProblemHttpResult Invalid(JsonException exception)
    {
        var errors = new FieldErrors();
        if (MissingMembers().Match(exception.Message) is { Success: true } missing)
        {
            foreach (var name in missing.Groups["name"].Captures.Select(capture => capture.Value))
                errors.Add(Join(FieldOf(exception), name), "This field is missing.");
            return errors.ToProblem();
        }

        return errors.Add(FieldOf(exception) is { Length: > 0 } field ? field : "$", Sentence(exception)).ToProblem();
    }

    private static string FieldOf(JsonException exception) => exception.Path?.TrimStart('$').TrimStart('.') ?? "";

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

    /// <summary>The first sentence: what follows names CLR types and byte offsets.</summary>
    private static string Sentence(JsonException exception)
    {
        var message = exception.Message;
        var end = message.IndexOf(" Path: ", StringComparison.Ordinal);
        message = end < 0 ? message : message[..end];
        return message.StartsWith("The JSON value could not be converted to", StringComparison.Ordinal)
            ? "The JSON value has the wrong type."
            : message;
    }

    [GeneratedRegex("""missing required properties including: (?:'(?<name>[^']+)'(?:, |\.|;)?)+""")]
    private static partial Regex MissingMembers();

    [GeneratedRegex("""parameter "(?:\S+ )?(?<name>\w+)" """)]
    private static partial Regex Parameter();
}
