using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.ServiceDefaults.Errors;

internal static class ProblemRegistration
{
    public static void AddProblems(this WebApplicationBuilder builder)
    {
        builder.Services.AddProblemDetails(options => options.CustomizeProblemDetails = context => Named(context.ProblemDetails));
        builder.Services.AddExceptionHandler<ExceptionsToProblems>();
        // A body that cannot be bound reaches the handler below, in every environment.
        builder.Services.Configure<RouteHandlerOptions>(options => options.ThrowOnBadRequest = true);
        builder.Services.ConfigureHttpJsonOptions(options =>
        {
            options.SerializerOptions.NumberHandling = JsonNumberHandling.Strict;
            options.SerializerOptions.RespectNullableAnnotations = true;
            options.SerializerOptions.RespectRequiredConstructorParameters = true;
            options.SerializerOptions.AllowDuplicateProperties = false;
        });
    }

    /// <summary>What routing and binding refuse by status alone gets a type of ours, and a word on what to do.</summary>
    internal static ProblemDetails Named(ProblemDetails problem)
    {
        if (problem.Type?.StartsWith("urn:", StringComparison.Ordinal) == true || problem.Status is not { } status)
            return problem;

        var (code, detail) = status switch
        {
            StatusCodes.Status404NotFound => ("no-such-route", "There is nothing at this path; /openapi/v1.json lists what there is."),
            StatusCodes.Status405MethodNotAllowed => ("method-not-allowed", "The path knows other methods, see the header Allow."),
            StatusCodes.Status413PayloadTooLarge => ("too-large", "The body is larger than this service takes."),
            StatusCodes.Status415UnsupportedMediaType => ("unsupported-media-type", "Expected a JSON body: send Content-Type application/json."),
            _ => ($"status-{status}", problem.Detail ?? problem.Title ?? "The request was refused."),
        };
        var ours = Problems.Describe(status, code, detail);
        (problem.Type, problem.Title, problem.Detail) = (ours.Type, ours.Title, ours.Detail);
        return problem;
    }
}
