using System.Globalization;
using System.Text;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Hosting;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.WebUtilities;

namespace DaprOrders.Sidecar.Api.Invocation;

/// <summary>InvokeService, which Dapr has deprecated: an HTTP call, its status told as a gRPC code.</summary>
internal static class InvocationGrpc
{
    public static void BindInvocation(this DaprGrpcMethods methods) =>
        methods.Unary<InvokeServiceRequest, InvokeResponse>("InvokeService", InvokeAsync);

    /// <summary>What no API has bound. Applications behind a gRPC port are not supported, so neither is proxying to them.</summary>
    public static Task RefuseProxyingAsync(HttpContext context, SidecarRuntime runtime)
    {
        var method = context.Request.Path.Value ?? "";
        string message;
        if (method.StartsWith("/dapr.proto.", StringComparison.Ordinal))
        {
            message = $"the embedded sidecar does not support {method[1..]}";
            runtime.Logger.LogWarning("{AppId} called {GrpcMethod}, which the embedded sidecar does not support", runtime.Options.AppId, method);
        }
        else if (!context.Request.Headers.ContainsKey("dapr-app-id") && !context.Request.Headers.ContainsKey("dapr-callee-app-id"))
        {
            return GrpcRefusal.WriteAsync(context, Grpc.Core.StatusCode.Unknown, "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found");
        }
        else
        {
            message = $"the embedded sidecar does not proxy gRPC calls such as {method[1..]} to applications";
            runtime.Logger.LogWarning("{AppId} called {GrpcMethod}: the embedded sidecar does not proxy gRPC to applications", runtime.Options.AppId, method);
        }
        return GrpcRefusal.WriteAsync(context, Grpc.Core.StatusCode.Unimplemented, message);
    }

    private static async Task<InvokeResponse> InvokeAsync(SidecarRuntime runtime, InvokeServiceRequest request, ServerCallContext call)
    {
        var invoker = new AppInvoker(runtime);
        var route = await invoker.RouteAsync(request.Id, call.CancellationToken);
        if (request.Message?.HttpExtension is not { } extension || extension.Verb is HTTPExtension.Types.Verb.None or HTTPExtension.Types.Verb.Connect)
            throw AppInvoker.Failed(request.Id, "rpc error: code = InvalidArgument desc = missing HTTP extension field");

        var query = extension.Querystring.Length > 0 ? "?" + extension.Querystring : "";
        using var message = new HttpRequestMessage(
            new HttpMethod(extension.Verb.ToString().ToUpperInvariant()), AppInvoker.Address(route, request.Message.Method, query));
        var body = request.Message.Data?.Value ?? ByteString.Empty;
        if (!body.IsEmpty || request.Message.ContentType.Length > 0)
        {
            message.Content = new ReadOnlyMemoryContent(body.Memory);
            message.Content.Headers.TryAddWithoutValidation("Content-Type", request.Message.ContentType);
        }
        foreach (var entry in call.RequestHeaders.Where(entry => !entry.IsBinary && IsForTheApp(entry.Key)))
            message.Headers.TryAddWithoutValidation(entry.Key, entry.Value);
        message.Headers.TryAddWithoutValidation("traceparent", TraceParent.Continue(call.RequestHeaders.GetValue("traceparent")));
        foreach (var (name, value) in route.AddedHeaders)
            message.Headers.TryAddWithoutValidation(name, value);

        try
        {
            using var handler = invoker.Policy(request.Id, streaming: false) is { } policy ? new PolicyHandler(policy, route.Invoker) : null;
            using var underPolicy = handler is null ? null : new HttpMessageInvoker(handler, disposeHandler: false);
            using var answer = await (underPolicy ?? route.Invoker).SendAsync(message, call.CancellationToken);
            return await TranslateAsync(answer, call);
        }
        catch (Exception e) when (AppInvoker.Describe(route, message.Method, message.RequestUri!, e) is { } error)
        {
            throw error;
        }
    }

    private static async Task<InvokeResponse> TranslateAsync(HttpResponseMessage answer, ServerCallContext call)
    {
        var status = (int)answer.StatusCode;
        var data = await AppChannel.ReadAsync(answer, call.CancellationToken);
        if (status is < 200 or >= 300)
        {
            var reason = ReasonPhrases.GetReasonPhrase(status);
            throw new ApiException(status, CodeOf(status), "ERR_DIRECT_INVOKE", reason)
            {
                Details =
                [
                    ApiException.Info(
                        reason,
                        ("http.code", status.ToString(CultureInfo.InvariantCulture)),
                        ("http.error_message", Encoding.UTF8.GetString(data))),
                ],
            };
        }
        await call.WriteResponseHeadersAsync(new() { { "dapr-http-status", status.ToString(CultureInfo.InvariantCulture) } });
        return new()
        {
            Data = new Any { Value = UnsafeByteOperations.UnsafeWrap(data) },
            ContentType = answer.Content.Headers.ContentType?.ToString() ?? "",
        };
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
