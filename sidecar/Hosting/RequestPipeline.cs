using Microsoft.AspNetCore.Http.Features;

namespace DaprOrders.Sidecar.Hosting;

/// <summary>What happens to a request before it reaches an API.</summary>
internal static class RequestPipeline
{
    private const string TokenHeader = "dapr-api-token";

    public static void UseDaprPipeline(this IApplicationBuilder app, SidecarRuntime runtime)
    {
        app.Use((context, next) => GrpcRefusal.IsGrpc(context) ? GuardGrpcAsync(context, next, runtime) : GuardHttpAsync(context, next, runtime));
        app.UseRouting();
    }

    /// <summary>Slashes in a row are one, and the last one is dropped: the actor client of the .NET SDK really sends //v1.0/actors.</summary>
    internal static PathString Clean(PathString path)
    {
        var value = path.Value!;
        if (!value.Contains("//", StringComparison.Ordinal) && (value.Length <= 1 || value[^1] != '/'))
            return path;

        return new PathString("/" + string.Join('/', value.Split('/', StringSplitOptions.RemoveEmptyEntries)));
    }

    private static Task GuardHttpAsync(HttpContext context, RequestDelegate next, SidecarRuntime runtime)
    {
        context.Request.Path = Clean(context.Request.Path);
        var isHealth = context.Request.Path.StartsWithSegments("/v1.0/healthz", StringComparison.Ordinal);
        if (!isHealth)
        {
            context.Response.Headers["traceparent"] = TraceParent.Of(context);
            if (TraceParent.StateOf(context) is { Length: > 0 } traceState)
                context.Response.Headers["tracestate"] = traceState;
            if (runtime.Options.ApiToken is { Length: > 0 } token && !TokenMatches(context, token))
                return PlainTextAsync(context, StatusCodes.Status401Unauthorized, "invalid api token\n");

            if (!runtime.ApiAccess.Allows(context.Request.Path))
                return PlainTextAsync(context, StatusCodes.Status404NotFound, "404 page not found\n");
        }

        return ApiErrors.TranslateAsync(context, next, runtime);
    }

    private static Task GuardGrpcAsync(HttpContext context, RequestDelegate next, SidecarRuntime runtime)
    {
        // gRPC has its own limit, per message, and its own answer to what is larger.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = null;
        if (runtime.Options.ApiToken is { Length: > 0 } token && !TokenMatches(context, token))
        {
            var problem = context.Request.Headers.ContainsKey(TokenHeader) ? "authentication error: api token mismatch" : "missing api token in request metadata";
            return GrpcRefusal.WriteAsync(context, Grpc.Core.StatusCode.Unauthenticated, "Unauthorized", 401, problem);
        }

        return runtime.ApiAccess.AllowsGrpc(context.Request.Path)
            ? next(context)
            : GrpcRefusal.WriteAsync(context, Grpc.Core.StatusCode.Unimplemented, "Not Implemented", 501, "requested endpoint is not available");
    }

    private static bool TokenMatches(HttpContext context, string token)
    {
        if (context.Request.Headers[TokenHeader] != token)
            return false;

        context.Request.Headers.Remove(TokenHeader);
        return true;
    }

    private static Task PlainTextAsync(HttpContext context, int status, string text)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/plain; charset=utf-8";
        context.Response.Headers.XContentTypeOptions = "nosniff";
        return context.Response.WriteAsync(text, context.RequestAborted);
    }
}
