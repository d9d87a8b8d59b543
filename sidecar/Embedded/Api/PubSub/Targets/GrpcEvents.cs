using System.Text;
using System.Text.Json;
using Dapr.AppCallback.Autogen.Grpc.v1;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Resiliency;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Status = Dapr.AppCallback.Autogen.Grpc.v1.TopicEventResponse.Types.TopicEventResponseStatus;

namespace EmbeddedSidecar.Api.PubSub.Targets;

/// <summary>CloudEvents as gRPC has them: the known attributes are fields, all others extensions (pkg/runtime/pubsub/subscriptions.go).</summary>
internal static class GrpcEvents
{
    private static readonly HashSet<string> Fields = ["id", "source", "datacontenttype", "type", "specversion", "data", "data_base64"];

    /// <exception cref="AttemptFailedException">Its data are not what its content type says.</exception>
    public static TopicEventRequest ToRequest(ReadOnlyMemory<byte> cloudEvent, string pubsub, string topic, string path)
    {
        using var json = JsonDocument.Parse(cloudEvent, GoJson.DocumentOptions);
        var attributes = json.RootElement;
        return new TopicEventRequest
        {
            Id = Text(attributes, "id"),
            Source = Text(attributes, "source"),
            Type = Text(attributes, "type"),
            SpecVersion = Text(attributes, "specversion"),
            DataContentType = Text(attributes, "datacontenttype"),
            Data = Binary(attributes) ?? Data(attributes),
            Topic = topic,
            PubsubName = pubsub,
            Path = path,
            Extensions = Extensions(attributes),
        };
    }

    /// <summary>In a batch. As daprd, without data that are no text or JSON.</summary>
    /// <exception cref="AttemptFailedException">Its data are not what its content type says.</exception>
    public static TopicEventCERequest ToEntry(ReadOnlyMemory<byte> cloudEvent)
    {
        using var json = JsonDocument.Parse(cloudEvent, GoJson.DocumentOptions);
        var attributes = json.RootElement;
        return new TopicEventCERequest
        {
            Id = Text(attributes, "id"),
            Source = Text(attributes, "source"),
            Type = Text(attributes, "type"),
            SpecVersion = Text(attributes, "specversion"),
            DataContentType = Text(attributes, "datacontenttype"),
            Data = Data(attributes),
            Extensions = Extensions(attributes),
        };
    }

    /// <summary>A status that is not known asks for a retry.</summary>
    public static AppVerdict Verdict(Status status) => status switch
    {
        Status.Success => AppVerdict.Success,
        Status.Drop => AppVerdict.Drop,
        _ => AppVerdict.Retry,
    };

    public static EventAnswer Answer(Status status) => status == Status.Success ? EventAnswer.Success : new(Verdict(status), $"status {status}");

    private static string Text(JsonElement attributes, string name) =>
        GoJson.TryFind(attributes, name, out var value) && value.ValueKind == JsonValueKind.String ? GoJson.Text(value) : "";

    private static ByteString? Binary(JsonElement attributes)
    {
        if (!GoJson.TryFindValue(attributes, "data_base64", out var value))
            return null;
        return value.ValueKind == JsonValueKind.String && value.TryGetBytesFromBase64(out var bytes)
            ? UnsafeByteOperations.UnsafeWrap(bytes)
            : throw new AttemptFailedException("the data_base64 of the event is no base64");
    }

    private static ByteString Data(JsonElement attributes)
    {
        if (!GoJson.TryFindValue(attributes, "data", out var data))
            return ByteString.Empty;
        var contentType = Text(attributes, "datacontenttype");
        if (MediaTypes.IsText(contentType))
        {
            return data.ValueKind == JsonValueKind.String
                ? ByteString.CopyFrom(GoJson.Text(data), Encoding.UTF8)
                : throw new AttemptFailedException($"the event says that its data are {contentType}, but they are {GoJson.Kind(data)}");
        }

        return MediaTypes.Is(contentType, "application/json") || MediaTypes.Is(contentType, CloudEventEnvelope.ContentType)
            ? UnsafeByteOperations.UnsafeWrap(GoJson.Reencode(data))
            : ByteString.Empty;
    }

    private static Struct Extensions(JsonElement attributes)
    {
        var extensions = new Struct();
        foreach (var (name, value) in GoJson.Fields(attributes, field => field.Value))
        {
            if (!Fields.Contains(name))
                extensions.Fields[name] = ToValue(value);
        }

        return extensions;
    }

    private static Value ToValue(JsonElement json)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.String:
                return Value.ForString(GoJson.Text(json));
            case JsonValueKind.Number:
                return Value.ForNumber(json.GetDouble());
            case JsonValueKind.True or JsonValueKind.False:
                return Value.ForBool(json.GetBoolean());
            case JsonValueKind.Array:
                return Value.ForList([.. json.EnumerateArray().Select(ToValue)]);
            case JsonValueKind.Object:
                var fields = new Struct();
                foreach (var (name, value) in GoJson.Fields(json, field => field.Value))
                    fields.Fields[name] = ToValue(value);
                return Value.ForStruct(fields);
            default:
                return Value.ForNull();
        }
    }
}
