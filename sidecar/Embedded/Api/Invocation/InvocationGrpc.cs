using System.Collections.Frozen;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Unicode;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Tracing;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Http.Features;
using Polly.Timeout;
using Yarp.ReverseProxy.Forwarder;

namespace EmbeddedSidecar.Api.Invocation;

/// <summary>
/// InvokeService, which Dapr has deprecated: an HTTP call, its status told as a gRPC code, or OnInvoke of an application that speaks gRPC; and
/// the proxying of any other method to such an application (pkg/messaging/grpc_proxy.go).
/// </summary>
internal static class InvocationGrpc
{
    private static readonly ForwarderRequestConfig Forwarding = new()
    {
        ActivityTimeout = Timeout.InfiniteTimeSpan,
        Version = System.Net.HttpVersion.Version20,
        VersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };

    /// <summary>Bytes of an application's message that the details of a status hold.</summary>
    private const int LongestDetail = 63;

    /// <summary>daprd's list of them (isPermanentHTTPHeader), without those of a connection.</summary>
    private static readonly FrozenSet<string> OfHttp = new[]
    {
        "accept", "accept-charset", "accept-language", "accept-ranges", "cache-control", "content-type", "cookie", "date", "expect", "from", "host", "if-match",
        "if-modified-since", "if-none-match", "if-schedule-tag-match", "if-unmodified-since", "max-forwards", "origin", "pragma", "referer", "via", "warning",
    }.ToFrozenSet(StringComparer.Ordinal);

    public static void BindInvocation(this DaprGrpcMethods methods) =>
        methods.Unary<InvokeServiceRequest, InvokeResponse>("InvokeService", InvokeAsync);

    /// <summary>What no API has bound goes to the application that the metadata name.</summary>
    public static async Task ProxyAsync(HttpContext context, SidecarRuntime runtime)
    {
        var method = context.Request.Path.Value ?? "";
        if (method.StartsWith("/dapr.proto.", StringComparison.Ordinal))
        {
            runtime.Logger.LogWarning("{AppId} called {GrpcMethod}, which the embedded sidecar does not support", runtime.Options.AppId, method);
            await GrpcRefusal.WriteAsync(context, StatusCode.Unimplemented, $"the embedded sidecar does not support {method[1..]}");
            return;
        }

        var headers = context.Request.Headers;
        var isTraced = runtime.Loaded.Configuration.Tracing.IsOn;
        if ((headers["dapr-callee-app-id"] is [{ Length: > 0 } callee, ..] ? callee : headers["dapr-app-id"].ToString()) is not { Length: > 0 } id)
        {
            await GrpcRefusal.WriteAsync(context, StatusCode.Unknown, isTraced
                ? "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata"
                : "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found");
            return;
        }

        using var span = runtime.Loaded.Tracing is { } tracing ? GrpcSpans.Begin(context, tracing, method, ActivityKind.Client) : null;
        try
        {
            var invoker = new AppInvoker(runtime);
            var route = await invoker.RouteAsync(id, context.RequestAborted);
            if (route.App is not { } app)
            {
                await GrpcRefusal.WriteAsync(context, StatusCode.Unknown, $"{id} is no application, so {method[1..]} cannot be proxied to it");
                return;
            }

            // A retry, and a timeout of the whole, are only for calls that do not say that they are streams.
            var isStream = headers["dapr-stream"].ToString().ToUpperInvariant() is "1" or "Y" or "YES" or "T" or "TRUE" or "ON";
            var policy = route.IsRemote ? invoker.Policy(route, method, isStream) : null;
            // One's own sidecar sees no certificate either, and decides such a call all the same. Nobody looks at the application's health, and the called
            // side's daprd does not count what is proxied to it.
            var transport = new HttpMessageInvoker(new Gate(
                () =>
                {
                    route.Sender?.InvocationSent(route.Destination, isStream);
                    return route.AccessControl?.Refusal(route.Caller, method, "NONE") is { } refusal ? ProxiedAnswer.Refused(StatusCode.PermissionDenied, refusal) : null;
                },
                new HttpMessageInvoker(new ProxiedAnswer(app.Transport, isStream), disposeHandler: false)));
            using var handler = policy is null ? null : new ProxiedCallPolicy(policy, transport, runtime.Options.MaxBodyBytes);
            using var underPolicy = handler is null ? null : new HttpMessageInvoker(handler, disposeHandler: false);
            using var served = route.Tracing?.Start(method, ActivityKind.Server, TraceParent.Of(context));
            var error = await context.RequestServices.GetRequiredService<IHttpForwarder>().SendAsync(
                context, route.BaseAddress, underPolicy ?? transport, Forwarding, new ProxyTransformer(route, isTraced ? TraceParent.Of(context) : null), context.RequestAborted);
            TellOutcome(context, span, served);
            if (error != ForwarderError.None && !context.RequestAborted.IsCancellationRequested && !context.Response.HasStarted)
            {
                context.Response.StatusCode = StatusCodes.Status200OK;
                var (code, message) = context.GetForwarderErrorFeature()?.Exception switch
                {
                    TimeoutRejectedException => (StatusCode.DeadlineExceeded, "context deadline exceeded"),
                    CircuitBreakerOpenException open => (StatusCode.Unknown, open.Message),
                    var exception => (StatusCode.Unavailable, $"{id} was not reached: {exception?.Message ?? error.ToString()}"),
                };
                await GrpcRefusal.WriteAsync(context, code, message);
            }
        }
        catch (ApiException error)
        {
            await GrpcRefusal.WriteAsync(context, StatusCode.Unknown, AppInvoker.Reason(id, error));
        }
    }

    private static void TellOutcome(HttpContext context, params ReadOnlySpan<Span?> spans)
    {
        var trailers = context.Features.Get<IHttpResponseTrailersFeature>()?.Trailers;
        if (spans is [null, null] || (Answered("grpc-status") is "0" or "" && context.Response.StatusCode == StatusCodes.Status200OK))
            return;
        foreach (var span in spans)
            span?.Fail(Uri.UnescapeDataString(Answered("grpc-message")));

        string Answered(string name) =>
            trailers?.TryGetValue(name, out var trailer) == true ? trailer.ToString() : context.Response.Headers[name].ToString();
    }

    /// <summary>
    /// As it came, but for what callers may not say of themselves. Between two daprd the trace comes behind what the caller said of it; one's own daprd
    /// adds none.
    /// </summary>
    private sealed class ProxyTransformer(InvocationRoute route, string? traceParent) : HttpTransformer
    {
        public override async ValueTask TransformRequestAsync(
            HttpContext context, HttpRequestMessage request, string destinationPrefix, CancellationToken cancellationToken)
        {
            await base.TransformRequestAsync(context, request, destinationPrefix, cancellationToken);
            request.Headers.Host = null;
            request.Content?.Headers.Remove("Content-Type");
            request.Content?.Headers.TryAddWithoutValidation("Content-Type", "application/grpc+proto");
            foreach (var name in request.Headers.NonValidated.Select(header => header.Key).Where(ForwardedHeaders.AreOfTheSidecar).ToList())
                request.Headers.Remove(name);
            if (!route.IsRemote)
                return;

            if (traceParent is not null)
            {
                // Of several in one header not every server can read the binary ones.
                request.Headers.Remove("grpc-trace-bin");
                foreach (var entry in AppCallbacks.Traced(traceParent))
                    request.Headers.TryAddWithoutValidation(entry.Key, entry.IsBinary ? Convert.ToBase64String(entry.ValueBytes) : entry.Value);
            }

            foreach (var (name, value) in route.AddedHeaders.Where(header => header.Key is "Dapr-Caller-App-Id" or "Dapr-Callee-App-Id"))
                request.Headers.TryAddWithoutValidation(name, value);
        }
    }

    private static async Task<InvokeResponse> InvokeAsync(SidecarRuntime runtime, InvokeServiceRequest request, ServerCallContext call)
    {
        var invoker = new AppInvoker(runtime);
        var route = await invoker.RouteAsync(request.Id, call.CancellationToken);
        if (route.App is { Grpc: { } grpc })
            return await OnInvokeAsync(invoker, grpc, route, request, call);
        if (request.Message?.HttpExtension is not { } extension || extension.Verb is HTTPExtension.Types.Verb.None or HTTPExtension.Types.Verb.Connect)
            throw AppInvoker.Failed(request.Id, "rpc error: code = InvalidArgument desc = missing HTTP extension field");

        var query = extension.Querystring.Length > 0 ? "?" + extension.Querystring : "";
        var verb = new HttpMethod(extension.Verb.ToString().ToUpperInvariant());
        using var message = new HttpRequestMessage(verb, AppInvoker.Address(route, verb, request.Message.Method, query));
        var body = request.Message.Data?.Value ?? ByteString.Empty;
        var contentType = request.Message.Data is { TypeUrl.Length: > 0 } ? "application/x-protobuf" : request.Message.ContentType;
        if (!body.IsEmpty || contentType.Length > 0)
        {
            message.Content = new ReadOnlyMemoryContent(body.Memory);
            message.Content.Headers.TryAddWithoutValidation("Content-Type", contentType);
        }
        message.Headers.TryAddWithoutValidation("Dapr-Authority", call.Host);
        foreach (var entry in call.RequestHeaders.Where(entry => !entry.IsBinary && IsForTheApp(entry.Key)))
            message.Headers.TryAddWithoutValidation(entry.Key, entry.Value);
        var traceParent = TraceParent.Of(call.GetHttpContext());
        using var served = route.StartServing(request.Message.Method, traceParent);
        message.Headers.TryAddWithoutValidation("traceparent", served?.TraceParent ?? traceParent);
        foreach (var (name, value) in route.AddedHeaders)
            message.Headers.TryAddWithoutValidation(name, value);

        try
        {
            var app = route.InvokerFor(request.Message.Method, message.Method);
            using var handler = invoker.Policy(route, request.Message.Method, streaming: false) is { } policy ? new PolicyHandler(policy, app) : null;
            using var underPolicy = handler is null ? null : new HttpMessageInvoker(handler, disposeHandler: false);
            using var answer = await (underPolicy ?? app).SendAsync(message, call.CancellationToken);
            served?.Answered((int)answer.StatusCode);
            return await TranslateAsync(answer, call);
        }
        catch (Exception e) when (AppInvoker.Describe(route, message.Method, message.RequestUri!, e) is { } error)
        {
            served?.Fail(error.Message);
            throw error;
        }
    }

    /// <summary>The application's answer as it is, status and metadata included.</summary>
    private static async Task<InvokeResponse> OnInvokeAsync(
        AppInvoker invoker, CallInvoker app, InvocationRoute route, InvokeServiceRequest request, ServerCallContext call)
    {
        var traceParent = TraceParent.Of(call.GetHttpContext());
        using var served = route.StartServing(request.Message?.Method ?? "", traceParent);
        var metadata = AppCallbacks.Traced(served?.TraceParent ?? traceParent);
        foreach (var entry in call.RequestHeaders.Where(entry => IsForTheApp(entry.Key)))
            metadata.Add(entry);
        foreach (var (name, value) in route.AddedHeaders)
            metadata.Add(name, value);
        var message = request.Message ?? new();
        message.Data ??= new();

        Grpc.Core.Metadata answered = [];
        try
        {
            return await invoker.Policy(route, message.Method, streaming: false).RunAsync(InvokeOnceAsync, call.CancellationToken);
        }
        catch (RpcException e)
        {
            served?.Fail(e.Status.Detail);
            throw;
        }
        finally
        {
            if (!call.CancellationToken.IsCancellationRequested)
                await call.WriteResponseHeadersAsync(ToCaller(answered, call));
        }

        async Task<InvokeResponse> InvokeOnceAsync(CancellationToken cancellationToken)
        {
            if (route.BeginAttempt(message.Method, HttpMethod.Post) is { } refusal)
                throw refusal;
            using var invocation = app.AsyncUnaryCall(AppCallbacks.OnInvoke, null, new(metadata, cancellationToken: cancellationToken), message);
            try
            {
                return await invocation;
            }
            finally
            {
                if (invocation.GetStatus().DebugException is null)
                    answered = await invocation.ResponseHeadersAsync;
            }
        }
    }

    private static Grpc.Core.Metadata ToCaller(Grpc.Core.Metadata answered, ServerCallContext call)
    {
        var headers = AppCallbacks.Traced(TraceParent.Of(call.GetHttpContext()));
        foreach (var entry in answered.Where(entry => !AppCallbacks.IsOfTheCall(entry.Key)))
            headers.Add(entry);
        return headers;
    }

    private static async Task<InvokeResponse> TranslateAsync(HttpResponseMessage answer, ServerCallContext call)
    {
        var status = (int)answer.StatusCode;
        var data = await AppChannel.ReadAsync(answer, call.CancellationToken);
        await call.WriteResponseHeadersAsync(HeadersOf(answer, call));
        if (status is < 200 or >= 300)
        {
            var reason = GoText.StatusText(status);
            var message = data.AsSpan(0, Math.Min(data.Length, LongestDetail));
            throw new ApiException(status, CodeOf(status), "ERR_DIRECT_INVOKE", reason)
            {
                // Which are texts of protobuf: a message that is not UTF-8, or no longer, has none.
                GrpcDetails = !Utf8.IsValid(message) ? [] :
                [
                    ApiException.Info(
                        reason,
                        ("http.code", status.ToString(CultureInfo.InvariantCulture)),
                        ("http.error_message", Encoding.UTF8.GetString(message))),
                ],
            };
        }

        return new()
        {
            Data = new Any { Value = UnsafeByteOperations.UnsafeWrap(data) },
            ContentType = answer.Content.Headers.ContentType?.ToString() ?? "",
        };
    }

    /// <summary>The application's, and its status; those that HTTP itself knows get a name of Dapr's.</summary>
    private static Grpc.Core.Metadata HeadersOf(HttpResponseMessage answer, ServerCallContext call)
    {
        var headers = AppCallbacks.Traced(TraceParent.Of(call.GetHttpContext()));
        foreach (var (header, values) in answer.Headers.NonValidated.Concat(answer.Content.Headers.NonValidated))
        {
            var name = header.ToLowerInvariant();
            if (ForwardedHeaders.AreOfTheConnection(name) || name is "traceparent" or "tracestate" or "dapr-http-status" || !GoText.IsMetadataName(name))
                continue;
            foreach (var value in values)
            {
                if (name.EndsWith("-bin", StringComparison.Ordinal))
                    headers.Add(name, Encoding.Latin1.GetBytes(value));
                else
                    headers.Add(OfHttp.Contains(name) ? $"dapr-{name}" : name, value);
            }
        }

        headers.Add("dapr-http-status", ((int)answer.StatusCode).ToString(CultureInfo.InvariantCulture));
        return headers;
    }

    /// <summary>dapr pkg/messaging/v1/util.go: 500 is Unknown, 400 is Internal.</summary>
    private static StatusCode CodeOf(int status) => status switch
    {
        400 => StatusCode.Internal,
        401 => StatusCode.Unauthenticated,
        403 => StatusCode.PermissionDenied,
        404 => StatusCode.NotFound,
        408 => StatusCode.Cancelled,
        409 => StatusCode.AlreadyExists,
        429 => StatusCode.ResourceExhausted,
        501 => StatusCode.Unimplemented,
        503 => StatusCode.Unavailable,
        504 => StatusCode.DeadlineExceeded,
        _ => StatusCode.Unknown,
    };

    private static bool IsForTheApp(string name) => name switch
    {
        "traceparent" or "user-agent" or "content-type" or "te" => false,
        _ => !ForwardedHeaders.AreOfTheSidecar(name) && !name.StartsWith("grpc-", StringComparison.Ordinal) && !name.StartsWith(':'),
    };
}
