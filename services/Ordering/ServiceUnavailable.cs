using DaprOrders.ServiceDefaults.Errors;
using Microsoft.AspNetCore.Diagnostics;

namespace DaprOrders.Ordering;

/// <summary>A service that Ordering must ask did not answer: 503, nothing was done.</summary>
public sealed class ServiceUnavailableException(string service, string message, Exception? inner = null) : Exception(message, inner)
{
    public string Service { get; } = service;
}

internal sealed class ServiceUnavailable(ILogger<ServiceUnavailable> logger) : IExceptionHandler
{
    public async ValueTask<bool> TryHandleAsync(HttpContext httpContext, Exception exception, CancellationToken cancellationToken)
    {
        if (exception is not ServiceUnavailableException unavailable)
            return false;

        logger.LogWarning(exception, "{Method} {Path} answered 503: {Service} is not available", httpContext.Request.Method, httpContext.Request.Path, unavailable.Service);
        await Problems.TryLater(httpContext, $"{unavailable.Service}-unavailable", $"{unavailable.Message} Try again.").ExecuteAsync(httpContext);
        return true;
    }
}
