using Dapr.AppCallback.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Formats;
using DaprOrders.Sidecar.Hosting;
using Google.Protobuf;
using Grpc.Core;
using Answered = Dapr.AppCallback.Autogen.Grpc.v1.TopicEventResponse.Types.TopicEventResponseStatus;

namespace DaprOrders.Sidecar.Api.PubSub.Targets;

/// <summary>An application that takes events by gRPC: OnTopicEvent, and OnBulkTopicEvent for batches (pkg/runtime/subscription/postman/grpc).</summary>
internal sealed class GrpcTarget(CallInvoker app, string pubsub, string topic, bool isRaw, ILogger logger) : IBatchTarget
{
    public async Task<EventAnswer> DeliverAsync(string path, DeliveredEvent delivered, CancellationToken cancellationToken)
    {
        var headers = Headers(delivered.Header.TraceParent);
        foreach (var (name, value) in delivered.Message.Metadata ?? new Dictionary<string, string>())
        {
            if (IsHeader(name))
                headers.Add(name, value);
        }

        try
        {
            var request = GrpcEvents.ToRequest(delivered.CloudEvent, pubsub, topic, path);
            var answer = await app.AsyncUnaryCall(AppCallbacks.OnTopicEvent, null, new(headers, cancellationToken: cancellationToken), request);
            return answer.Status switch
            {
                Answered.Success => EventAnswer.Success,
                Answered.Drop => new(AppVerdict.Drop, "status DROP"),
                var status => new(AppVerdict.Retry, $"status {status}"),
            };
        }
        catch (RpcException error) when (error.StatusCode == StatusCode.Unimplemented)
        {
            logger.LogWarning("Event {EventId} of topic {Topic} is dropped without a dead letter, as daprd does: {Reason}", delivered.Header.Id, topic, error.Status.Detail);
            return EventAnswer.Success;
        }
    }

    public async Task<Dictionary<string, AppVerdict>?> DeliverManyAsync(string path, IReadOnlyList<BatchEntry> entries, CancellationToken cancellationToken)
    {
        var request = new TopicEventBulkRequest
        {
            Id = Uuid.Next(),
            Entries = { entries.Select(ToEntry) },
            Metadata = { ["pubsubName"] = pubsub },
            Topic = topic,
            PubsubName = pubsub,
            Type = "com.dapr.event.sent.bulk",
            Path = path,
        };
        try
        {
            var answer = await CallAsync(request, entries, cancellationToken);
            return answer.Statuses.GroupBy(entry => entry.EntryId).ToDictionary(entry => entry.Key, entry => entry.Last().Status switch
            {
                Answered.Success => AppVerdict.Success,
                Answered.Drop => AppVerdict.Drop,
                _ => AppVerdict.Retry,
            });
        }
        catch (RpcException error) when (error.StatusCode == StatusCode.Unimplemented)
        {
            return null;
        }
    }

    private async Task<TopicEventBulkResponse> CallAsync(TopicEventBulkRequest request, IReadOnlyList<BatchEntry> entries, CancellationToken cancellationToken)
    {
        var traces = isRaw ? [] : entries.Select(entry => entry.Header.TraceParent).Where(trace => !string.IsNullOrEmpty(trace)).ToList();
        var headers = Headers(traces.FirstOrDefault());
        foreach (var trace in traces.Skip(1))
            headers.Add("traceparent", TraceParent.Continue(trace));
        try
        {
            return await app.AsyncUnaryCall(AppCallbacks.OnBulkTopicEvent, null, new(headers, cancellationToken: cancellationToken), request);
        }
        catch (RpcException error) when (error.StatusCode == StatusCode.Unimplemented)
        {
            return await app.AsyncUnaryCall(AppCallbacks.OnBulkTopicEventAlpha1, null, new(headers, cancellationToken: cancellationToken), request);
        }
    }

    private TopicEventBulkRequestEntry ToEntry(BatchEntry entry)
    {
        var request = new TopicEventBulkRequestEntry { EntryId = entry.Id, ContentType = entry.Message.ContentType ?? "" };
        if (isRaw)
            request.Bytes = UnsafeByteOperations.UnsafeWrap(entry.Message.Data);
        else
            request.CloudEvent = GrpcEvents.ToEntry(entry.Message.Data);
        if (entry.Message.Metadata is { } metadata)
            request.Metadata.Add(metadata.ToDictionary());
        return request;
    }

    private Grpc.Core.Metadata Headers(string? traceParent)
    {
        var headers = string.IsNullOrEmpty(traceParent) ? [] : AppCallbacks.Traced(TraceParent.Continue(traceParent));
        headers.Add("pubsubname", pubsub);
        return headers;
    }

    /// <summary>What describes another body, or is no name of gRPC's, is left out.</summary>
    private static bool IsHeader(string name) =>
        !name.Equals("content-type", StringComparison.OrdinalIgnoreCase) && !name.Equals("content-length", StringComparison.OrdinalIgnoreCase)
        && !name.Equals("pubsubname", StringComparison.OrdinalIgnoreCase) && !name.EndsWith("-bin", StringComparison.OrdinalIgnoreCase)
        && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.');
}
