using System.Text.Json;
using System.Text.RegularExpressions;
using Dapr;
using DaprOrders.EventSourcing;
using Microsoft.AspNetCore.Diagnostics;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;

namespace DaprOrders.ServiceDefaults.Errors;

/// <summary>Every exception that leaves an endpoint, as problem details; only the unexpected ones are logged as errors.</summary>
internal sealed partial class ExceptionsToProblems(ILogger<ExceptionsToProblems> logger) : IExceptionHandler
{
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
            case StoreWentBackException lost:
                return Problems.TryLater(context, "store-went-back", lost.Message);
            case NewerEventException or UnknownEventException { IsNewer: true }:
                logger.LogWarning(exception, "{Method} {Route} answered 503: a later version of this service has written what this one cannot read", context.Request.Method, RouteOf(context));
                return Problems.TryLater(context, "newer-event", exception.Message);
            case EventStoreUnavailableException unavailable:
                logger.LogWarning(unavailable, "{Method} {Route} answered 503: the store is not available", context.Request.Method, RouteOf(context));
                return Problems.TryLater(context, "store-unavailable", unavailable.Message);
            case DaprException unavailable:
                logger.LogWarning(unavailable, "{Method} {Route} answered 503: the sidecar or its store failed", context.Request.Method, RouteOf(context));
                return Problems.TryLater(context, "store-unavailable", "The sidecar or its store does not answer now; try again.");
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
            // The framework gives up on a charset that it does not know, after it has taken the content type.
            case InvalidOperationException { Source: "Microsoft.AspNetCore.Http.Extensions" } when context.Request.GetTypedHeaders().ContentType is { Charset.HasValue: true }:
                return TypedResults.Problem(ProblemRegistration.Named(new ProblemDetails { Status = StatusCodes.Status415UnsupportedMediaType }));
            default:
                logger.LogError(exception, "{Method} {Route} failed", context.Request.Method, RouteOf(context));
                return Problems.Of(
                    StatusCodes.Status500InternalServerError, "internal-error", "The request failed on the server; its log has the reason under this trace id.");
        }
    }

    /// <summary>The path as it is mapped, not as it was called: that may name a customer, and logs are not for that.</summary>
    private static string RouteOf(HttpContext context) =>
        (context.Features.Get<IExceptionHandlerFeature>()?.Endpoint as RouteEndpoint)?.RoutePattern.RawText ?? "(no route)";

    private static ProblemHttpResult BadRequest(BadHttpRequestException bad) => bad.StatusCode switch
    {
        not StatusCodes.Status400BadRequest => TypedResults.Problem(ProblemRegistration.Named(new ProblemDetails { Status = bad.StatusCode })),
        // The framework's words ("Failed to bind parameter "Nullable<int> limit" from "x".") are for whoever wrote the endpoint.
        _ when Unbound().Match(bad.Message) is { Success: true } match => new FieldErrors()
            .Add(match.Groups["name"].Value, $"Expected {Expected(match.Groups["type"].Value)}; got {FieldErrors.Shown(match.Groups["value"].Value)}.")
            .ToProblem(),
        _ when Missing().Match(bad.Message) is { Success: true } match => new FieldErrors()
            .Add(match.Groups["name"].Value, "This parameter is missing.")
            .ToProblem(),
        _ => new FieldErrors().Add("$", "Expected a JSON body of the shape that /openapi/v1.json shows.").ToProblem(),
    };

    /// <summary>By the name of a parameter's type, as the framework's messages have it.</summary>
    private static string Expected(string type) => NullableOf().Replace(type, "${type}") switch
    {
        "int" or "long" or "short" => "a whole number",
        "decimal" or "double" => "a number",
        "bool" => "true or false",
        "DateOnly" => "a date, for instance 2026-01-31",
        "DateTimeOffset" or "DateTime" => "a time, for instance 2026-01-31T12:00:00Z",
        _ => "another value",
    };

    private static ProblemHttpResult Invalid(JsonException exception) => FieldErrorsOf(exception).ToProblem();

    /// <param name="within">The field that holds the JSON; empty: it is the body.</param>
    internal static FieldErrors FieldErrorsOf(JsonException exception, string within = "")
    {
        var errors = new FieldErrors();
        var field = Join(within, FieldOf(exception));
        if (MissingMembers().Match(exception.Message) is { Success: true } missing)
        {
            foreach (var name in missing.Groups["name"].Captures.Select(capture => capture.Value))
                errors.Add(Join(field, name), "This field is missing.");
            return errors;
        }

        return errors.Add(field.Length > 0 ? field : "$", Sentence(exception));
    }

    private static string FieldOf(JsonException exception) => exception.Path?.TrimStart('$').TrimStart('.') ?? "";

    private static string Join(string path, string name) =>
        path.Length == 0 ? name : name.Length == 0 ? path : name[0] == '[' ? $"{path}{name}" : $"{path}.{name}";

    /// <summary>The reader's messages are for people; the others name CLR types, which are none of the client's business.</summary>
    private static string Sentence(JsonException exception) => exception.Message switch
    {
        var message when message.Contains("could not be converted", StringComparison.Ordinal) => "The JSON value has the wrong type.",
        var message when message.Contains("doesn't allow null", StringComparison.Ordinal)
            || message.Contains("does not allow null", StringComparison.Ordinal)
            || message.Contains("Nullable", StringComparison.Ordinal) => "The value must not be null.",
        var message when message.StartsWith("Duplicate property", StringComparison.Ordinal) => "The property comes twice.",
        _ when exception.InnerException is JsonException malformed => malformed.Message,
        _ => "The JSON value does not fit here.",
    };

    [GeneratedRegex("""missing required properties including: (?:'(?<name>[^']+)'(?:, |\.|;)?)+""")]
    private static partial Regex MissingMembers();

    [GeneratedRegex(""""\AFailed to bind parameter "(?<type>\S+) (?<name>\w+)" from "(?<value>.*)"\.\z"""", RegexOptions.Singleline)]
    private static partial Regex Unbound();

    [GeneratedRegex("""\ARequired parameter "(?:\S+ )?(?<name>\w+)" was not provided from (?!body)""")]
    private static partial Regex Missing();

    [GeneratedRegex("""\ANullable<(?<type>\w+)>\z""")]
    private static partial Regex NullableOf();
}
