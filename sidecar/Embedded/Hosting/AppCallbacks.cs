using System.Diagnostics;
using Dapr.AppCallback.Autogen.Grpc.v1;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace EmbeddedSidecar.Hosting;

/// <summary>What a sidecar calls on an application that speaks gRPC (dapr/proto/runtime/v1/appcallback.proto).</summary>
internal static class AppCallbacks
{
    private const string Service = "dapr.proto.runtime.v1.AppCallback";

    public static readonly Method<InvokeRequest, InvokeResponse> OnInvoke = Unary<InvokeRequest, InvokeResponse>(Service, "OnInvoke");

    public static readonly Method<Empty, ListTopicSubscriptionsResponse> ListTopicSubscriptions =
        Unary<Empty, ListTopicSubscriptionsResponse>(Service, "ListTopicSubscriptions");

    public static readonly Method<TopicEventRequest, TopicEventResponse> OnTopicEvent = Unary<TopicEventRequest, TopicEventResponse>(Service, "OnTopicEvent");

    public static readonly Method<TopicEventBulkRequest, TopicEventBulkResponse> OnBulkTopicEvent =
        Unary<TopicEventBulkRequest, TopicEventBulkResponse>(Service, "OnBulkTopicEvent");

    /// <summary>The older name of <see cref="OnBulkTopicEvent"/>.</summary>
    public static readonly Method<TopicEventBulkRequest, TopicEventBulkResponse> OnBulkTopicEventAlpha1 =
        Unary<TopicEventBulkRequest, TopicEventBulkResponse>(Service + "Alpha", "OnBulkTopicEventAlpha1");

    public static readonly Method<Empty, ListInputBindingsResponse> ListInputBindings = Unary<Empty, ListInputBindingsResponse>(Service, "ListInputBindings");

    public static readonly Method<BindingEventRequest, BindingEventResponse> OnBindingEvent = Unary<BindingEventRequest, BindingEventResponse>(Service, "OnBindingEvent");

    public static readonly Method<JobEventRequest, JobEventResponse> OnJobEvent = Unary<JobEventRequest, JobEventResponse>(Service, "OnJobEvent");

    /// <summary>The older name of <see cref="OnJobEvent"/>.</summary>
    public static readonly Method<JobEventRequest, JobEventResponse> OnJobEventAlpha1 = Unary<JobEventRequest, JobEventResponse>(Service + "Alpha", "OnJobEventAlpha1");

    public static readonly Method<Empty, HealthCheckResponse> HealthCheck = Unary<Empty, HealthCheckResponse>(Service + "HealthCheck", "HealthCheck");

    /// <summary>The trace of a call, as text and in the binary form of OpenCensus, which older clients read.</summary>
    public static Metadata Traced(string traceParent)
    {
        var metadata = new Metadata { { "traceparent", traceParent } };
        if (ActivityContext.TryParse(traceParent, null, out var trace))
        {
            var binary = new byte[29];
            trace.TraceId.CopyTo(binary.AsSpan(2, 16));
            binary[18] = 1;
            trace.SpanId.CopyTo(binary.AsSpan(19, 8));
            (binary[27], binary[28]) = (2, (byte)trace.TraceFlags);
            metadata.Add("grpc-trace-bin", binary);
        }

        return metadata;
    }

    /// <summary>Metadata of the call itself, of which the application says nothing.</summary>
    public static bool IsOfTheCall(string name) => name is "content-type" or "date" or "server" || name.StartsWith("grpc-", StringComparison.Ordinal);

    private static Method<TRequest, TResponse> Unary<TRequest, TResponse>(string service, string name)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        new(MethodType.Unary, service, name, GrpcMarshaller<TRequest>.Instance, GrpcMarshaller<TResponse>.Instance);
}
