using EmbeddedSidecar.Hosting;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>Service invocation over HTTP: what every request comes to that is no route of an API, as in daprd, so that a dapr-app-id header works with any path.</summary>
internal static class InvocationHttp
{
    private static readonly ForwarderRequestConfig Forwarding = new()
    {
        // daprd has no timeout of its own, and an event stream may be silent for long.
        ActivityTimeout = Timeout.InfiniteTimeSpan,
        Version = System.Net.HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    public static RequestDelegate Handler(SidecarRuntime runtime)
    {
        var invoker = new AppInvoker(runtime);
        return context => InvokeAsync(context, runtime, invoker);
    }

    private static async Task InvokeAsync(HttpContext context, SidecarRuntime runtime, AppInvoker invoker)
    {
        var target = InvocationTarget.Find(context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget, context.Request.Headers)
            ?? throw NoTarget(context, runtime);
        var route = await invoker.RouteAsync(target.Id, context.RequestAborted);
        var address = AppInvoker.Address(route, target.Method, context.Request.QueryString.Value ?? "");
        await RefuseTooLargeAsync(context, runtime, route, address);

        var streaming = context.Request.Headers.TransferEncoding.Count > 0;
        var policy = invoker.Policy(route.Id, streaming);
        using var handler = policy is null ? null : new PolicyHandler(policy, route.Invoker);
        using var underPolicy = handler is null ? null : new HttpMessageInvoker(handler, disposeHandler: false);
        var traceParent = TraceParent.Of(context);
        var error = await context.RequestServices.GetRequiredService<IHttpForwarder>().SendAsync(
            context, route.BaseAddress, underPolicy ?? route.Invoker, Forwarding, new Transformer(route, address, traceParent, streaming), context.RequestAborted);
        if (error == ForwarderError.None || context.RequestAborted.IsCancellationRequested)
            return;

        var exception = context.GetForwarderErrorFeature()?.Exception;
        if (context.Response.HasStarted)
        {
            runtime.Logger.LogWarning("The answer of {TargetId} to {Method} {Path} broke off: {Reason}", route.Id, context.Request.Method, address.AbsolutePath, exception?.Message);
            return;
        }
        context.Response.Headers.TraceParent = traceParent;
        throw AppInvoker.Describe(route, new HttpMethod(context.Request.Method), address, exception)
            ?? AppInvoker.Failed(route.Id, route.Word(exception?.Message ?? error.ToString()));
    }

    /// <summary>Also for the APIs of Dapr that this sidecar does not have, such as jobs and workflows: daprd's answer to an unknown path.</summary>
    private static ApiException NoTarget(HttpContext context, SidecarRuntime runtime)
    {
        if (context.Request.Path.Value?.StartsWith("/v1.", StringComparison.Ordinal) == true)
        {
            runtime.Logger.LogWarning(
                "{AppId} called {Method} {Path}, which is no API of the embedded sidecar",
                runtime.Options.AppId, context.Request.Method, context.Request.Path);
        }
        return new(404, Grpc.Core.StatusCode.NotFound, "ERR_DIRECT_INVOKE", "failed getting app id either from the URL path or the header dapr-app-id");
    }

    /// <summary>daprd cuts the body at the limit and fails on the difference; the text is the same.</summary>
    private static async Task RefuseTooLargeAsync(HttpContext context, SidecarRuntime runtime, InvocationRoute route, Uri address)
    {
        if (context.Request.ContentLength is not { } length || length <= runtime.Options.MaxBodyBytes)
            return;
        await RequestBody.SkipAsync(context);
        var verb = context.Request.Method[..1] + context.Request.Method[1..].ToLowerInvariant();
        throw AppInvoker.Failed(
            route.Id,
            route.Word($"{verb} \"{address}\": net/http: HTTP/1.x transport connection broken: http: ContentLength={length} with Body length {runtime.Options.MaxBodyBytes}"));
    }

    private sealed class Transformer(InvocationRoute route, Uri address, string traceParent, bool streaming) : HttpTransformer
    {
        public override ValueTask TransformRequestAsync(
            HttpContext context, HttpRequestMessage request, string destinationPrefix, CancellationToken cancellationToken)
        {
            request.RequestUri = address;
            ForwardedHeaders.CopyRequest(context.Request.Headers, request);
            if (request.Content is not null && context.Request.ContentLength is { } length)
                request.Content.Headers.ContentLength = length;
            request.Headers.Remove("traceparent");
            request.Headers.TryAddWithoutValidation("traceparent", traceParent);
            foreach (var (name, value) in route.AddedHeaders)
                request.Headers.TryAddWithoutValidation(name, value);
            return default;
        }

        public override async ValueTask<bool> TransformResponseAsync(
            HttpContext context, HttpResponseMessage? response, CancellationToken cancellationToken)
        {
            var copyBody = await base.TransformResponseAsync(context, response, cancellationToken);
            var headers = context.Response.Headers;
            headers.TraceParent = traceParent;
            foreach (var name in new[] { "tracestate", "baggage" })
            {
                if (context.Request.Headers.TryGetValue(name, out var value))
                    headers[name] = value;
            }
            // daprd takes such an answer into memory, and gives it this content type when it has none.
            if (!streaming && (int?)response?.StatusCode is < 200 or >= 400 && headers.ContentType.Count == 0)
                headers.ContentType = "application/json";
            if (context.Response.StatusCode is not (StatusCodes.Status204NoContent or StatusCodes.Status205ResetContent or StatusCodes.Status304NotModified))
                return copyBody;
            // Such an answer has no body, whatever the application says of one.
            headers.ContentLength = null;
            return false;
        }
    }
}
