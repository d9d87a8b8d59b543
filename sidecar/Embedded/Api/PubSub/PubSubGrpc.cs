using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Hosting;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>PublishEvent, BulkPublishEvent (pkg/api/grpc/grpc.go) and SubscribeTopicEventsAlpha1.</summary>
internal static class PubSubGrpc
{
    public static void BindPubSub(this DaprGrpcMethods methods)
    {
        methods.Unary<PublishEventRequest, Empty>("PublishEvent", PublishAsync);
        methods.Unary<BulkPublishRequest, BulkPublishResponse>("BulkPublishEvent", PublishManyAsync);
        methods.Unary<BulkPublishRequest, BulkPublishResponse>("BulkPublishEventAlpha1", PublishManyAsync);
        methods.Duplex<SubscribeTopicEventsRequestAlpha1, SubscribeTopicEventsResponseAlpha1>(
            "SubscribeTopicEventsAlpha1", (runtime, requests, responses, call) => runtime.Streams.ServeAsync(requests, responses, call));
    }

    private static async Task<Empty> PublishAsync(SidecarRuntime runtime, PublishEventRequest request, ServerCallContext call)
    {
        var http = call.GetHttpContext();
        var target = PublishTarget.Find(runtime, http, request.PubsubName, request.Topic, request.Metadata);
        Dictionary<string, string>? metadata = request.Metadata.Count == 0 ? null : new(request.Metadata);
        if (target.IsRaw)
        {
            // Unlike over HTTP, a raw payload keeps its trace beside it.
            metadata!["traceid"] = TraceParent.Of(http);
            metadata["tracestate"] = TraceParent.StateOf(http);
        }

        await target.PublishAsync(new("", request.Data.Memory, request.DataContentType, metadata), call.CancellationToken);
        return new();
    }

    private static async Task<BulkPublishResponse> PublishManyAsync(SidecarRuntime runtime, BulkPublishRequest request, ServerCallContext call)
    {
        var target = PublishTarget.Find(runtime, call.GetHttpContext(), request.PubsubName, request.Topic, request.Metadata);
        var events = new EventToPublish[request.Entries.Count];
        for (var i = 0; i < events.Length; i++)
        {
            var entry = request.Entries[i];
            var metadata = BulkPublishBody.Merge(request.Metadata, entry.Metadata.Count == 0 ? null : entry.Metadata);
            events[i] = new(entry.EntryId, entry.Event.Memory, entry.ContentType, metadata);
        }

        target.RefuseUnusableIds(events);
        var failures = await target.PublishManyAsync(events, call.CancellationToken);
        // As daprd answers: which of them failed does not reach a gRPC caller.
        return failures.Count == 0
            ? new()
            : throw PubSubErrors.PublishFailed(request.PubsubName, request.Topic, failures[0].Failure.Message);
    }
}
