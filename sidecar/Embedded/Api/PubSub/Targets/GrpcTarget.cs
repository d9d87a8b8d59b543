using Dapr.AppCallback.Autogen.Grpc.v1;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using Google.Protobuf;
using Grpc.Core;

namespace EmbeddedSidecar.Api.PubSub.Targets;

/// <summary>An application that takes events by gRPC: OnTopicEvent, and OnBulkTopicEvent for batches (pkg/runtime/subscription/postman/grpc).</summary>
internal sealed class GrpcTarget(CallInvoker app, string pubsub, string topic, ILogger logger) : IBatchTarget
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
            return GrpcEvents.Answer(answer.Status);
        }
        catch (RpcException error) when (error.StatusCode == StatusCode.Unimplemented)
        {
            logger.LogWarning("Event {EventId} of topic {Topic} is dropped without a dead letter, as daprd does: {Reason}", delivered.Header.Id, topic, error.Status.Detail);
            return EventAnswer.Success;
        }
    }

    public async Task<Dictionary<string, AppVerdict>?> DeliverManyAsync(string path, IReadOnlyList<BatchEntry> entries, bool isRaw, CancellationToken cancellationToken)
    {
        var request = new TopicEventBulkRequest
        {
            Id = Uuid.Next(),
            Entries = { entries.Select(entry => ToEntry(entry, isRaw)) },
            Metadata = { ["pubsubName"] = pubsub },
            Topic = topic,
            PubsubName = pubsub,
            Type = "com.dapr.event.sent.bulk",
            Path = path,
        };
        try
        {
            var answer = await CallAsync(request, isRaw ? [] : entries, cancellationToken);
            return answer.Statuses.GroupBy(entry => entry.EntryId).ToDictionary(entry => entry.Key, entry => GrpcEvents.Verdict(entry.Last().Status));
        }
        catch (RpcException error) when (error.StatusCode == StatusCode.Unimplemented)
        {
            return null;
        }
    }

    private async Task<TopicEventBulkResponse> CallAsync(TopicEventBulkRequest request, IReadOnlyList<BatchEntry> traced, CancellationToken cancellationToken)
    {
        var traces = traced.Select(entry => entry.Header.TraceParent).Where(trace => !string.IsNullOrEmpty(trace)).ToList();
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

    private static TopicEventBulkRequestEntry ToEntry(BatchEntry entry, bool isRaw)
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
