using System.Collections.Frozen;
using System.Net;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Tracing;
using Microsoft.AspNetCore.Http.Features;
using Yarp.ReverseProxy.Forwarder;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>Service invocation over HTTP: what every request comes to that is no route of an API, as in daprd, so that a dapr-app-id header works with any path.</summary>
internal static class InvocationHttp
{
    private const string EventStream = "text/event-stream";

    private static readonly ForwarderRequestConfig Forwarding = new()
    {
        // daprd has no timeout of its own, and an event stream may be silent for long.
        ActivityTimeout = Timeout.InfiniteTimeSpan,
        Version = HttpVersion.Version11,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    private static readonly FrozenDictionary<string, HttpMethod> KnownVerbs =
        new[] { HttpMethod.Get, HttpMethod.Head, HttpMethod.Post, HttpMethod.Put, HttpMethod.Delete, HttpMethod.Options, HttpMethod.Trace, HttpMethod.Patch }
            .ToFrozenDictionary(verb => verb.Method, StringComparer.OrdinalIgnoreCase);

    /// <param name="runtime">Of the sidecar.</param>
    /// <param name="forwarder">Asked for once: a request that asks for a service gets a scope of its own.</param>
    public static RequestDelegate Handler(SidecarRuntime runtime, IHttpForwarder forwarder)
    {
        var invoker = new AppInvoker(runtime);
        return context => InvokeAsync(context, runtime, invoker, forwarder);
    }

    private static async Task InvokeAsync(HttpContext context, SidecarRuntime runtime, AppInvoker invoker, IHttpForwarder forwarder)
    {
        // Like daprd: an upgrade is asked of the sidecar, and passed over.
        context.Features.Set<IHttpUpgradeFeature>(null);
        var target = InvocationTarget.Find(context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget, context.Request.Headers)
            ?? throw NoTarget(context, runtime);
        HttpSpans.Invokes(context, target.Id, target.Method);
        var route = await invoker.RouteAsync(target.Id, context.RequestAborted);
        var query = context.Request.QueryString.Value is { Length: > 1 } given ? given : "";
        var address = AppInvoker.Address(route, VerbOf(context.Request), target.Method, query);
        if (route.IsRemote && !(target.IsUtf8 && ForwardedHeaders.AreUtf8(context.Request.Headers)))
            throw AppInvoker.NotUtf8(route.Id, "error sending message: ");
        if (HttpMethods.IsConnect(context.Request.Method))
            throw AppInvoker.Failed(route.Id, route.Word("rpc error: code = InvalidArgument desc = invalid HTTP verb"));
        await RefuseTooLargeAsync(context, runtime, route, address);

        var streaming = context.Request.Headers.TransferEncoding.Count > 0;
        var policy = invoker.Policy(route, AppInvoker.Normalized(route, target.Method), streaming);
        var app = route.InvokerFor(target.Method, VerbOf(context.Request));
        using var handler = policy is null ? null : new PolicyHandler(policy, app);
        using var underPolicy = handler is null ? null : new HttpMessageInvoker(handler, disposeHandler: false);
        var traceParent = TraceParent.Of(context);
        using var served = route.StartServing(target.Method, traceParent);
        var transformer = new Transformer(route, address, traceParent, served?.TraceParent ?? traceParent, streaming);
        var error = await forwarder.SendAsync(
            context, route.BaseAddress, underPolicy ?? app, Forwarding, transformer, context.RequestAborted);
        served?.Answered(error == ForwarderError.None ? context.Response.StatusCode : StatusCodes.Status500InternalServerError);
        if (error == ForwarderError.None || context.RequestAborted.IsCancellationRequested)
            return;

        var exception = context.GetForwarderErrorFeature()?.Exception;
        if (context.Response.HasStarted)
        {
            runtime.Logger.LogWarning("The answer of {TargetId} to {Method} {Path} broke off: {Reason}", route.Id, context.Request.Method, address.AbsolutePath, exception?.Message);
            return;
        }
        context.Response.Headers.TraceParent = traceParent;
        if (OfTheCaller(exception) is { } broken)
            throw AppInvoker.Failed(route.Id, broken.Message);
        throw exception as ApiException
            ?? AppInvoker.Describe(route, VerbOf(context.Request), address, exception)
            ?? AppInvoker.Failed(route.Id, route.Word(exception?.Message ?? error.ToString()));
    }

    /// <summary>The request itself could not be read.</summary>
    private static BadHttpRequestException? OfTheCaller(Exception? exception) => exception switch
    {
        null => null,
        BadHttpRequestException broken => broken,
        AggregateException several => several.InnerExceptions.Select(OfTheCaller).FirstOrDefault(broken => broken is not null),
        _ => OfTheCaller(exception.InnerException),
    };

    /// <summary>What daprd's list of verbs does not hold goes on as POST.</summary>
    private static HttpMethod VerbOf(HttpRequest request) => KnownVerbs.GetValueOrDefault(request.Method, HttpMethod.Post);

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
        var limit = runtime.Options.MaxBodyBytes;
        if (context.Request.ContentLength is not { } length || length <= limit)
            return;
        await RequestBody.SkipAsync(context);
        var method = VerbOf(context.Request).Method;
        var sent = $"{method[..1]}{method[1..].ToLowerInvariant()} \"{address}\":";
        throw AppInvoker.Failed(route.Id, route switch
        {
            { IsRemote: false } => $"{sent} {RequestBody.TooLarge}",
            _ when length == limit + 1 =>
                route.Word($"{sent} net/http: HTTP/1.x transport connection broken: http: ContentLength={length} with Body length {limit}"),
            _ => RequestBody.TooLarge,
        });
    }

    /// <param name="route">Where it goes.</param>
    /// <param name="address">The same, with path and query.</param>
    /// <param name="traceParent">Answered to the caller.</param>
    /// <param name="passedOn">The trace context that the application gets.</param>
    /// <param name="streaming">The body is of unknown length.</param>
    private sealed class Transformer(InvocationRoute route, Uri address, string traceParent, string passedOn, bool streaming) : HttpTransformer
    {
        public override ValueTask TransformRequestAsync(
            HttpContext context, HttpRequestMessage request, string destinationPrefix, CancellationToken cancellationToken)
        {
            (request.Method, request.RequestUri) = (VerbOf(context.Request), address);
            ForwardedHeaders.CopyRequest(context.Request.Headers, request);
            if (request.Content is not null && context.Request.ContentLength is { } length)
            {
                request.Content.Headers.ContentLength = length;
                request.Options.Set(UnflushedContent.Wanted, true);
            }

            request.Headers.Remove("traceparent");
            request.Headers.TryAddWithoutValidation("traceparent", passedOn);
            foreach (var (name, value) in route.AddedHeaders)
                request.Headers.TryAddWithoutValidation(name, value);
            return default;
        }

        public override async ValueTask<bool> TransformResponseAsync(
            HttpContext context, HttpResponseMessage? response, CancellationToken cancellationToken)
        {
            if (route.IsRemote && response is not null && !ForwardedHeaders.AreUtf8(response.Headers.NonValidated))
                throw AppInvoker.NotUtf8(route.Id, "");
            var isEventStream = context.Request.Headers.Accept is [{ } accepted, ..] && accepted.Trim().Equals(EventStream, StringComparison.OrdinalIgnoreCase);
            if (isEventStream && response is not null)
                RefuseNoStream(response);
            var copyBody = await base.TransformResponseAsync(context, response, cancellationToken);
            if (isEventStream && response is { IsSuccessStatusCode: true })
                context.Response.StatusCode = StatusCodes.Status200OK;
            var headers = context.Response.Headers;
            headers.TraceParent = traceParent;
            if (TraceParent.StateOf(context) is { Length: > 0 } traceState)
                headers.TraceState = traceState;
            if (context.Request.Headers.Baggage is { Count: > 0 } baggage)
                headers.Baggage = baggage;
            if (isEventStream && (route.IsRemote || (int?)response?.StatusCode is >= 300 and < 400))
                (headers.ContentType, headers.CacheControl, headers.ContentLength) = (EventStream, "no-cache", null);
            // daprd takes such an answer into memory, and gives it this content type when it has none.
            if (!streaming && (int?)response?.StatusCode is < 200 or >= 400 && headers.ContentType.Count == 0)
                headers.ContentType = "application/json";
            if (context.Response.StatusCode is StatusCodes.Status204NoContent or StatusCodes.Status205ResetContent or StatusCodes.Status304NotModified)
            {
                // Such an answer has no body, whatever the application says of one.
                headers.ContentLength = null;
                return false;
            }

            if (copyBody && headers is { ContentType.Count: 0, ContentEncoding.Count: 0 } && !HttpMethods.IsHead(context.Request.Method))
                await BeginAsync(context.Response, response!.Content, cancellationToken);
            return copyBody;
        }

        /// <summary>
        /// An event stream that the caller asks for: from another application any success is 200, and nothing else is an answer (pkg/sse, pkg/api/grpc/daprinternal.go);
        /// of its own, and of an endpoint, only a success changes.
        /// </summary>
        private void RefuseNoStream(HttpResponseMessage answer)
        {
            if (route.IsRemote && (!answer.IsSuccessStatusCode || route.App?.Grpc is not null))
                throw AppInvoker.Failed(route.Id, route.Word("no response received from stream"));
            if (route.IsRemote && (answer.StatusCode is HttpStatusCode.NoContent or HttpStatusCode.ResetContent || answer.Content.Headers.ContentLength == 0))
                throw AppInvoker.Failed(route.Id, "EOF");
        }

        /// <summary>Go's server looks at the beginning of a body that has no type, and names one. The rest goes the usual way.</summary>
        private static async Task BeginAsync(HttpResponse answer, HttpContent content, CancellationToken cancellationToken)
        {
            var beginning = new byte[GoContentType.Length];
            var read = await (await content.ReadAsStreamAsync(cancellationToken)).ReadAsync(beginning, cancellationToken);
            if (read == 0)
                return;
            answer.ContentType = GoContentType.Of(beginning.AsSpan(0, read));
            await answer.Body.WriteAsync(beginning.AsMemory(0, read), cancellationToken);
        }
    }
}
