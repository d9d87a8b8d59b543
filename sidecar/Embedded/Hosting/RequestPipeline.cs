using System.Security.Cryptography;
using System.Text;
using EmbeddedSidecar.Api;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Tracing;
using Grpc.AspNetCore.Server;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing.Patterns;
using Yarp.ReverseProxy.Forwarder;

namespace EmbeddedSidecar.Hosting;

/// <summary>What happens to a request before it reaches an API. The two ports share nothing: whatever a request says of itself, over HTTP/1.1 it is no gRPC.</summary>
internal static class RequestPipeline
{
    private const string TokenHeader = "dapr-api-token";
    private const string Health = "/v1.0/healthz";

    /// <summary>Go reads so much more than the headers may have.</summary>
    internal const int ReadAhead = 4096;

    public static void UseDaprPipeline(this IApplicationBuilder app, SidecarRuntime runtime)
    {
        var invocation = InvocationHttp.Handler(runtime, app.ApplicationServices.GetRequiredService<IHttpForwarder>());
        var crossOrigin = CrossOrigin.From(runtime.Options.AllowedOrigins);
        app.Use((context, next) =>
            IsGrpcPort(context) ? GuardGrpcAsync(context, next, runtime)
            : context.Connection.LocalPort == runtime.MetricsPort ? TellMetricsAsync(context, runtime)
            : GuardAndCountHttpAsync(context, next, runtime, crossOrigin));
        app.UseRouting();
        app.Use((context, next) => IsGrpcPort(context) ? CallMethodAsync(context, next, runtime) : CallRouteAsync(context, next, runtime, invocation));
    }

    /// <summary>Slashes in a row are one, and the last one is dropped: the actor client of the .NET SDK really sends //v1.0/actors.</summary>
    internal static PathString Clean(PathString path)
    {
        var value = path.Value!;
        if (!value.Contains("//", StringComparison.Ordinal) && (value.Length <= 1 || value[^1] != '/'))
            return path;

        return new PathString("/" + string.Join('/', value.Split('/', StringSplitOptions.RemoveEmptyEntries)));
    }

    private static bool IsGrpcPort(HttpContext context) => HttpProtocol.IsHttp2(context.Request.Protocol);

    /// <summary>As daprd: at any path, and to whoever asks.</summary>
    private static Task TellMetricsAsync(HttpContext context, SidecarRuntime runtime)
    {
        context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        return runtime.Metrics.WriteAsync(context.Response.Body, context.RequestAborted);
    }

    private static async Task GuardAndCountHttpAsync(HttpContext context, RequestDelegate next, SidecarRuntime runtime, CrossOrigin? crossOrigin)
    {
        var loaded = runtime.Enter();
        try
        {
            await GuardHttpAsync(context, next, runtime, crossOrigin);
        }
        finally
        {
            loaded.Leave();
            runtime.Metrics.HttpServed(context);
            if (loaded.Tracing is not null)
                HttpSpans.End(context);
        }
    }

    private static Task GuardHttpAsync(HttpContext context, RequestDelegate next, SidecarRuntime runtime, CrossOrigin? crossOrigin)
    {
        if (runtime.Options.ReadBufferBytes is { } most && HeaderBytes(context.Request) > most + ReadAhead)
        {
            context.Response.Headers.Connection = "close";
            return PlainTextAsync(context, StatusCodes.Status431RequestHeaderFieldsTooLarge, "431 Request Header Fields Too Large");
        }

        if (InvocationTarget.InvalidEscape(RequestPath.Raw(context)) is not null)
        {
            context.Response.Headers.Connection = "close";
            context.Response.ContentType = "text/plain; charset=utf-8";
            context.Response.StatusCode = StatusCodes.Status400BadRequest;
            return context.Response.WriteAsync("400 Bad Request", context.RequestAborted);
        }

        context.Request.Path = Clean(new(RequestPath.WithSpaces(context.Request.Path.Value!, RequestPath.Raw(context))));
        var path = context.Request.Path.Value!;
        if (context.Request.Headers.Expect.Count > 0 && !context.Request.Headers.Expect.ToString().Equals("100-continue", StringComparison.OrdinalIgnoreCase))
        {
            context.Response.StatusCode = StatusCodes.Status417ExpectationFailed;
            return Task.CompletedTask;
        }

        // As daprd, no trace begins with what only looks like a question for the health.
        if (!path.StartsWith(Health, StringComparison.Ordinal) && !RequestPath.Raw(context).StartsWith(Health, StringComparison.Ordinal))
        {
            if (Baggage.Problem(string.Join(',', context.Request.Headers.Baggage.AsEnumerable())) is { } problem)
                return PlainTextAsync(context, StatusCodes.Status400BadRequest, $"invalid baggage header: {problem}\n");
            context.Response.Headers.TraceParent = runtime.Loaded.Tracing is { } tracing ? HttpSpans.Begin(context, tracing) : TraceParent.Begin(context, runtime);
            if (TraceParent.StateOf(context) is { Length: > 0 } traceState)
                context.Response.Headers["tracestate"] = traceState;
        }

        if (crossOrigin?.Answers(context) == true)
            return Task.CompletedTask;

        // Exactly these two: an exception for what begins so would let anything through that the path becomes later.
        var isHealth = HttpMethods.IsGet(context.Request.Method) && path is Health or Health + "/outbound";
        if (!isHealth && runtime.Options.ApiToken is { Length: > 0 } token && !TokenMatches(context, token))
            return PlainTextAsync(context, StatusCodes.Status401Unauthorized, "invalid api token\n");

        return ApiErrors.TranslateAsync(context, next, runtime);
    }

    /// <summary>As they came, with the request line.</summary>
    private static long HeaderBytes(HttpRequest request) =>
        request.Method.Length + RequestPath.Raw(request.HttpContext).Length + (request.QueryString.Value?.Length ?? 0) + "  HTTP/1.1\r\n\r\n".Length
        + request.Headers.Sum(header => header.Value.Sum(value => (long)header.Key.Length + (value?.Length ?? 0) + ": \r\n".Length));

    /// <summary>What is no route, or none that is allowed, may still name an application.</summary>
    private static Task CallRouteAsync(HttpContext context, RequestDelegate next, SidecarRuntime runtime, RequestDelegate invocation)
    {
        if (context.GetEndpoint() is RouteEndpoint route && !IsMethod(route) && IsSpelledSo(route, context.Request.Path) && runtime.Loaded.ApiAccess.Allows(route))
            return next(context);

        return runtime.Loaded.ApiAccess.AllowsInvocation
            ? invocation(context)
            : PlainTextAsync(context, StatusCodes.Status404NotFound, "404 page not found\n");
    }

    /// <summary>To daprd's routes the case matters.</summary>
    private static bool IsSpelledSo(RouteEndpoint route, PathString path)
    {
        var words = path.Value!.Split('/');
        return route.RoutePattern.PathSegments.Index().All(segment =>
            segment.Item.Parts is not [RoutePatternLiteralPart literal] || literal.Content == words[segment.Index + 1]);
    }

    private static Task GuardGrpcAsync(HttpContext context, RequestDelegate next, SidecarRuntime runtime)
    {
        if (context.Request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) != true)
        {
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return Task.CompletedTask;
        }

        // gRPC has its own limit, per message, and its own answer to what is larger.
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = null;
        if (runtime.Options.ApiToken is { Length: > 0 } token && !TokenMatches(context, token))
        {
            var problem = context.Request.Headers.ContainsKey(TokenHeader) ? "authentication error: api token mismatch" : "missing api token in request metadata";
            return GrpcRefusal.WriteAsync(context, Grpc.Core.StatusCode.Unauthenticated, "Unauthorized", 401, problem);
        }

        return runtime.Loaded.ApiAccess.AllowsGrpc(context.Request.Path)
            ? CountGrpcAsync(context, next, runtime)
            : GrpcRefusal.WriteAsync(context, Grpc.Core.StatusCode.Unimplemented, "Not Implemented", 501, "requested endpoint is not available");
    }

    private static async Task CountGrpcAsync(HttpContext context, RequestDelegate next, SidecarRuntime runtime)
    {
        var loaded = runtime.Enter();
        try
        {
            await next(context);
        }
        finally
        {
            loaded.Leave();
        }
    }

    private static Task CallMethodAsync(HttpContext context, RequestDelegate next, SidecarRuntime runtime) =>
        context.GetEndpoint() is { } endpoint && IsMethod(endpoint) ? next(context) : InvocationGrpc.ProxyAsync(context, runtime);

    private static bool IsMethod(Endpoint endpoint) => endpoint.Metadata.GetMetadata<GrpcMethodMetadata>() is not null;

    private static bool TokenMatches(HttpContext context, string token)
    {
        if (context.Request.Headers[TokenHeader] is not [{ } given]
            || !CryptographicOperations.FixedTimeEquals(Encoding.Latin1.GetBytes(given), Encoding.UTF8.GetBytes(token)))
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
