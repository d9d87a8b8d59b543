using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using EmbeddedSidecar.Components.PubSub;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>One event of a publish call, over whichever protocol it came.</summary>
internal readonly record struct EventToPublish(string EntryId, ReadOnlyMemory<byte> Data, string? ContentType, IReadOnlyDictionary<string, string>? Metadata);

/// <summary>A publish call that was looked at: to which component and topic, and whether the payload goes as it is.</summary>
internal sealed class PublishTarget
{
    private readonly SidecarRuntime _runtime;
    private readonly HttpContext _call;

    private PublishTarget(SidecarRuntime runtime, HttpContext call, PubSubComponent component, string topic, bool isRaw) =>
        (_runtime, _call, Component, Topic, IsRaw) = (runtime, call, component, topic, isRaw);

    public PubSubComponent Component { get; }

    public string Topic { get; }

    public bool IsRaw { get; }

    public static PublishTarget Find(SidecarRuntime runtime, HttpContext call, string pubsub, string topic, IReadOnlyDictionary<string, string> metadata)
    {
        if (pubsub.Length == 0)
            throw PubSubErrors.NameEmpty();
        if (!runtime.Loaded.PubSubs.TryGetValue(pubsub, out var component))
            throw PubSubErrors.NotFound(pubsub);
        if (topic.Length == 0)
            throw PubSubErrors.TopicEmpty(pubsub);
        return new(runtime, call, component, topic, MetadataFields.IsRawPayload(pubsub, metadata));
    }

    public Task PublishAsync(in EventToPublish one, CancellationToken cancellationToken) =>
        Component.PublishAsync(Topic, Message(one, TraceParent.Of(_call)), cancellationToken);

    /// <summary>Nothing is published when one of the events cannot be made.</summary>
    /// <returns>The events that the broker did not take, and why.</returns>
    public async Task<IReadOnlyList<(string EntryId, Exception Failure)>> PublishManyAsync(
        IReadOnlyList<EventToPublish> events, CancellationToken cancellationToken)
    {
        var call = TraceParent.Of(_call);
        using var spans = IsRaw ? null : EventSpans.Start(_runtime.Loaded.Tracing, _call, events.Count);
        var messages = new BrokerMessage[events.Count];
        for (var i = 0; i < messages.Length; i++)
            messages[i] = Message(events[i], spans?[i] ?? TraceParent.Continue(call));

        var failures = await Component.PublishManyAsync(Topic, messages, cancellationToken);
        return [.. failures.Index().Where(one => one.Item is not null).Select(one => (events[one.Index].EntryId, one.Item!))];
    }

    public void RefuseUnusableIds(IReadOnlyList<EventToPublish> events)
    {
        var ids = new HashSet<string>(events.Count);
        foreach (var one in events)
        {
            if (one.EntryId.Length == 0 || !ids.Add(one.EntryId))
                throw PubSubErrors.EntryId(Component.Name, Topic, _runtime.Options.AppId);
        }
    }

    private BrokerMessage Message(in EventToPublish one, string traceParent)
    {
        if (IsRaw)
            return new(one.Data, null, one.Metadata);

        try
        {
            var origin = new EventOrigin(
                _runtime.Options.AppId, Component.Name, Topic, traceParent, TraceParent.StateOf(_call), _runtime.Time, Component.BrokerDropsExpired);
            return new(CloudEventEnvelope.Make(origin, one.Data, one.ContentType, one.Metadata), null, one.Metadata);
        }
        catch (JsonException error)
        {
            throw PubSubErrors.CloudEventCreation(Component.Name, _runtime.Options.AppId, error.Message);
        }
    }
}

/// <summary>The body of a bulk publish over HTTP: <c>[{"entryId","event","contentType","metadata"}]</c>.</summary>
internal static class BulkPublishBody
{
    private const string ContentMismatch = "error: mismatch between contentType and event";

    public static List<EventToPublish> Read(ReadOnlyMemory<byte> body, PublishTarget target, string appId, IReadOnlyDictionary<string, string> requestMetadata)
    {
        try
        {
            using var document = RequestBody.Parse(body);
            if (document.RootElement.ValueKind != JsonValueKind.Array)
                throw new JsonException($"json: cannot unmarshal {GoJson.Kind(document.RootElement)} into Go value of type []http.bulkPublishMessageEntry");

            var (events, ids) = (new List<EventToPublish>(), new HashSet<string>());
            foreach (var entry in document.RootElement.EnumerateArray())
            {
                var one = ReadEntry(entry, target, appId, requestMetadata);
                if (one.EntryId.Length == 0 || !ids.Add(one.EntryId))
                    throw PubSubErrors.EntryId(target.Component.Name, target.Topic, appId);
                events.Add(one);
            }

            return events;
        }
        catch (JsonException error)
        {
            throw PubSubErrors.EventsUnreadable(target.Component.Name, target.Topic, appId, error.Message);
        }
    }

    /// <summary>An entry's own metadata wins over the request's, which is not looked at for an entry without any.</summary>
    public static Dictionary<string, string>? Merge(IReadOnlyDictionary<string, string> request, IEnumerable<KeyValuePair<string, string>>? own)
    {
        if (own is null)
            return null;

        var merged = new Dictionary<string, string>(request);
        foreach (var (name, value) in own)
            merged[name] = value;
        return merged;
    }

    private static EventToPublish ReadEntry(JsonElement entry, PublishTarget target, string appId, IReadOnlyDictionary<string, string> requestMetadata)
    {
        if (entry.ValueKind != JsonValueKind.Object)
            throw new JsonException($"json: cannot unmarshal {GoJson.Kind(entry)} into Go value of type http.bulkPublishMessageEntry");

        var (entryId, contentType) = ("", "");
        JsonElement content = default;
        Dictionary<string, string>? metadata = null;
        foreach (var field in entry.EnumerateObject())
        {
            var name = GoJson.Name(field);
            if (name.Equals("entryId", StringComparison.OrdinalIgnoreCase))
                entryId = Text(field);
            else if (name.Equals("contentType", StringComparison.OrdinalIgnoreCase))
                contentType = Text(field);
            else if (name.Equals("event", StringComparison.OrdinalIgnoreCase))
                content = field.Value;
            else if (name.Equals("metadata", StringComparison.OrdinalIgnoreCase) && field.Value.ValueKind != JsonValueKind.Null)
                metadata = ReadMetadata(field);
        }

        return new(entryId, Content(content, contentType, target, appId), contentType, Merge(requestMetadata, metadata));
    }

    private static ReadOnlyMemory<byte> Content(JsonElement content, string contentType, PublishTarget target, string appId)
    {
        if (MediaTypes.Is(contentType, "application/json") || MediaTypes.Is(contentType, CloudEventEnvelope.ContentType))
            return content.ValueKind == JsonValueKind.Undefined ? "null"u8.ToArray() : JsonMarshal.GetRawUtf8Value(content).ToArray();

        var isBinary = MediaTypes.Is(contentType, "application/octet-stream");
        if (content.ValueKind != JsonValueKind.String || (!isBinary && !MediaTypes.IsText(contentType)))
            throw PubSubErrors.EntryContent(target.Component.Name, target.Topic, appId, ContentMismatch);
        if (!isBinary)
            return Encoding.UTF8.GetBytes(GoJson.Text(content));
        return GoBase64.TryDecode(GoJson.Text(content), out var bytes, out var at)
            ? bytes
            : throw PubSubErrors.EntryContent(
                target.Component.Name, target.Topic, appId, $"error: unable to decode base64 application/octect-stream data: illegal base64 data at input byte {at}");
    }

    private static Dictionary<string, string> ReadMetadata(JsonProperty field) => field.Value.ValueKind == JsonValueKind.Object
        ? GoJson.Fields(field.Value, Text)
        : throw new JsonException($"json: cannot unmarshal {GoJson.Kind(field.Value)} into Go struct field bulkPublishMessageEntry.metadata of type map[string]string");

    private static string Text(JsonProperty field) => field.Value.ValueKind switch
    {
        JsonValueKind.String => GoJson.Text(field.Value),
        JsonValueKind.Null => "",
        _ => throw new JsonException($"json: cannot unmarshal {GoJson.Kind(field.Value)} into Go struct field bulkPublishMessageEntry.{GoJson.Name(field)} of type string"),
    };
}
