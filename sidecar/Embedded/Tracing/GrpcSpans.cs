using System.Diagnostics;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Hosting;
using Grpc.Core;

namespace EmbeddedSidecar.Tracing;

/// <summary>The spans of the gRPC API, with daprd's names and attributes (dapr pkg/diagnostics/grpc_tracing.go, pkg/proto/runtime/v1/dapr_tracing.go).</summary>
internal static class GrpcSpans
{
    /// <summary>Null where nobody takes spans.</summary>
    /// <param name="runtime">Of the sidecar.</param>
    /// <param name="call">As it came.</param>
    /// <param name="request">Null for a call that is a stream.</param>
    public static Span? Begin(SidecarRuntime runtime, ServerCallContext call, object? request = null)
    {
        if (runtime.Loaded.Tracing is not { } tracing)
            return null;

        var context = call.GetHttpContext();
        var span = Begin(context, tracing, call.Method, ActivityKind.Client);
        if (!span.IsSampled)
            return span;

        if (request is not null)
            Describe(span, request, call.Method);
        return span.With("dapr.protocol", "grpc").With("dapr.api", call.Method);
    }

    /// <summary>A call of any service.</summary>
    public static Span Begin(HttpContext context, SidecarTracing tracing, string method, ActivityKind kind)
    {
        var span = tracing.Start(method, kind, context.Request.Headers.TraceParent);
        TraceParent.Set(context, span.TraceParent);
        if (span.IsSampled)
            HttpSpans.AddOfTheUser(span, context.Request.Headers);
        return span;
    }

    private static void Describe(Span span, object request, string method)
    {
        switch (request)
        {
            case InvokeServiceRequest invocation:
                span.Rename($"CallLocal/{invocation.Id}/{invocation.Message?.Method}");
                span.With("rpc.service", "ServiceInvocation").With("net.peer.name", invocation.Id);
                break;
            case PublishEventRequest publication:
                Messaging(span, publication.Topic);
                break;
            case BulkPublishRequest publication:
                Messaging(span, publication.Topic);
                break;
            default:
                if (ComponentOf(request) is var (block, component))
                    Database(span, block, component, method);
                break;
        }
    }

    private static (string Block, string Name)? ComponentOf(object request) => request switch
    {
        InvokeBindingRequest binding => ("bindings", binding.Name),
        GetStateRequest state => ("state", state.StoreName),
        SaveStateRequest state => ("state", state.StoreName),
        DeleteStateRequest state => ("state", state.StoreName),
        GetSecretRequest secret => ("secrets", secret.StoreName),
        _ => null,
    };

    private static void Messaging(Span span, string topic) =>
        span.With("rpc.service", "Dapr").With("messaging.system", "pubsub").With("messaging.destination.name", topic);

    private static void Database(Span span, string block, string component, string method) => span
        .With("db.name", component).With("rpc.service", "Dapr").With("db.system", block).With("db.statement", method).With("db.connection_string", block);
}
