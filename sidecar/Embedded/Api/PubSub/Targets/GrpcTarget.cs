using Dapr.AppCallback.Autogen.Grpc.v1;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Tracing;
using Google.Protobuf;
using Grpc.Core;

namespace EmbeddedSidecar.Api.PubSub.Targets;

/// <summary>An application that takes events by gRPC: OnTopicEvent, and OnBulkTopicEvent for batches (pkg/runtime/subscription/postman/grpc).</summary>
internal sealed class GrpcTarget(Func<SidecarTracing?> tracing, ILogger logger, CallInvoker app, string pubsub, string topic) : IBatchTarget
{
    public async Task<EventAnswer> DeliverAsync(string path, DeliveredEvent delivered, CancellationToken cancellationToken)
    {
        using var span = tracing()?.StartDelivery(topic, delivered.Header.TraceParent);
        var headers = Headers(span?.TraceParent ?? Continue(delivered.Header.TraceParent));
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
            span?.Fail(error.Status.Detail);
            return EventAnswer.Success;
        }
        catch (RpcException error)
        {
            span?.Fail(error.Status.Detail);
            throw;
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
        using var spans = DeliverySpans.Start(tracing(), topic, traced);
        var traces = spans?.TraceParents.ToList() ?? [.. traced.Select(entry => Continue(entry.Header.TraceParent)).OfType<string>()];
        var headers = Headers(traces.FirstOrDefault());
        foreach (var trace in traces.Skip(1))
            headers.Add("traceparent", trace);
        try
        {
            return await app.AsyncUnaryCall(AppCallbacks.OnBulkTopicEvent, null, new(headers, cancellationToken: cancellationToken), request);
        }
        catch (RpcException error) when (error.StatusCode == StatusCode.Unimplemented)
        {
            return await app.AsyncUnaryCall(AppCallbacks.OnBulkTopicEventAlpha1, null, new(headers, cancellationToken: cancellationToken), request);
        }
        catch (RpcException error)
        {
            spans?.Fail(error.Status.Detail);
            throw;
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

    private static string? Continue(string? traceParent) => string.IsNullOrEmpty(traceParent) ? null : TraceParent.Continue(traceParent);

    private Grpc.Core.Metadata Headers(string? traceParent)
    {
        var headers = traceParent is null ? [] : AppCallbacks.Traced(traceParent);
        headers.Add("pubsubname", pubsub);
        return headers;
    }

    /// <summary>What describes another body, or is no name of gRPC's, is left out.</summary>
    private static bool IsHeader(string name) =>
        !name.Equals("content-type", StringComparison.OrdinalIgnoreCase) && !name.Equals("content-length", StringComparison.OrdinalIgnoreCase)
        && !name.Equals("pubsubname", StringComparison.OrdinalIgnoreCase) && !name.EndsWith("-bin", StringComparison.OrdinalIgnoreCase)
        && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.');
}
