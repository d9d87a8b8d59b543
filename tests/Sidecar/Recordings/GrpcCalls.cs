using System.Collections;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Dapr.AppCallback.Autogen.Grpc.v1;
using Dapr.Client.Autogen.Grpc.v1;
using Google.Protobuf;
using Google.Protobuf.Reflection;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>Calls methods of dapr.proto.runtime.v1.Dapr by name, requests and answers in proto JSON, "@text x" for the bytes of x.</summary>
public static class GrpcCalls
{
    private static readonly ServiceDescriptor Service = DaprReflection.Descriptor.Services.Single(service => service.Name == "Dapr");

    private static readonly TypeRegistry Types = TypeRegistry.FromFiles(
        DaprReflection.Descriptor, AppcallbackReflection.Descriptor, WrappersReflection.Descriptor, StructReflection.Descriptor, Google.Rpc.ErrorDetailsReflection.Descriptor);

    private static readonly JsonParser Parser = new(JsonParser.Settings.Default.WithTypeRegistry(Types));
    private static readonly JsonFormatter Formatter = new(JsonFormatter.Settings.Default.WithTypeRegistry(Types));

    /// <summary>What was got: status, and body, or message and details; and the answer as it came.</summary>
    public static async Task<(JsonObject Got, JsonNode? Answer)> CallAsync(
        CallInvoker invoker, string name, JsonNode request, Metadata headers, bool withHead, RecordedForm form, CancellationToken cancel)
    {
        using var call = invoker.AsyncUnaryCall(Method(name, MethodType.Unary), null, new CallOptions(headers, cancellationToken: cancel), Request(name, request));
        JsonObject got;
        JsonNode? answer = null;
        try
        {
            answer = Shown(await call);
            got = new JsonObject { ["status"] = "OK", ["body"] = form.Json(answer) };
        }
        catch (RpcException refused)
        {
            got = Refusal(refused, form);
        }
        if (withHead && form.Metadata(await call.ResponseHeadersAsync) is { Count: > 0 } head)
            got["headers"] = head;
        return (got, answer);
    }

    public static Method<IMessage, IMessage> Method(string name, MethodType type)
    {
        var descriptor = Descriptor(name);
        return new(type, Service.FullName, name, MarshallerOf(descriptor.InputType), MarshallerOf(descriptor.OutputType));
    }

    /// <summary>A streaming call whose client may send more than its request.</summary>
    public static bool TakesMore(string name) => Descriptor(name).IsClientStreaming;

    public static IMessage Request(string name, JsonNode request) => Parsed(request, Descriptor(name).InputType);

    public static IMessage Parsed(JsonNode json, MessageDescriptor type) => Untyped(Parser.Parse(TextsAsBytes(json)!.ToJsonString(), type));

    /// <summary>The recordings name the codes as Go does: one letter less in Canceled.</summary>
    public static string NameOf(StatusCode code) => code == StatusCode.Cancelled ? "Canceled" : code.ToString();

    public static StatusCode CodeOf(string name) => name == "Canceled" ? StatusCode.Cancelled : System.Enum.Parse<StatusCode>(name);

    /// <summary>The <c>name</c> in an event's data; empty where there is none.</summary>
    public static string NameIn(string data)
    {
        try
        {
            return JsonNode.Parse(data) is JsonObject fields ? (string?)fields["name"] ?? "" : "";
        }
        catch (JsonException)
        {
            return "";
        }
    }

    /// <summary>The status of a call that gave no answer, its message and details.</summary>
    public static JsonObject Refusal(RpcException refused, RecordedForm form)
    {
        var got = new JsonObject { ["status"] = NameOf(refused.StatusCode), ["message"] = form.Text(refused.Status.Detail) };
        if (refused.Trailers.GetValueBytes("grpc-status-details-bin") is { } status)
        {
            var details = Google.Rpc.Status.Parser.ParseFrom(status).Details;
            if (details.Count > 0)
                got["details"] = form.Json(new JsonArray([.. details.Select(detail => JsonNode.Parse(Formatter.Format(detail)))]));
        }
        return got;
    }

    private static MethodDescriptor Descriptor(string name) =>
        Service.FindMethodByName(name) ?? throw new InvalidOperationException($"Dapr has no gRPC method {name}.");

    public static Marshaller<IMessage> MarshallerOf(MessageDescriptor type) => new(message => message.ToByteArray(), type.Parser.ParseFrom);

    /// <summary>In a request a text that starts with "@text " stands wherever bytes are expected.</summary>
    private static JsonNode? TextsAsBytes(JsonNode? json) => json switch
    {
        JsonObject any when (string?)any["@any"] is { } text => new JsonObject
        {
            ["@type"] = "type.googleapis.com/" + BytesValue.Descriptor.FullName,
            ["value"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(text)),
        },
        JsonObject fields => new JsonObject(fields.Select(field => KeyValuePair.Create(field.Key, TextsAsBytes(field.Value)))),
        JsonArray items => new JsonArray([.. items.Select(TextsAsBytes)]),
        JsonValue value when value.TryGetValue<string>(out var text) && text.StartsWith("@text ", StringComparison.Ordinal)
            => Convert.ToBase64String(Encoding.UTF8.GetBytes(text["@text ".Length..])),
        _ => json?.DeepClone(),
    };

    /// <summary>Proto JSON has no form for an Any of plain bytes: it comes in as bytes with a type, and the type is taken off.</summary>
    private static IMessage Untyped(IMessage message)
    {
        foreach (var field in message.Descriptor.Fields.InDeclarationOrder().Where(field => field is { FieldType: FieldType.Message, IsRepeated: false }))
        {
            if (field.Accessor.GetValue(message) is Any any && any.TryUnpack<BytesValue>(out var bytes))
                field.Accessor.SetValue(message, new Any { Value = bytes.Value });
            else if (field.Accessor.GetValue(message) is IMessage inner)
                Untyped(inner);
        }
        return message;
    }

    /// <summary>As proto JSON, but bytes that are text are shown as text, and an Any without a type by its bytes.</summary>
    public static JsonNode Shown(IMessage message)
    {
        if (message is Any { TypeUrl: "" } untyped)
            return untyped.Value.IsEmpty ? [] : new JsonObject { ["value"] = Shown(untyped.Value) };
        if (message is Any typed)
            return new JsonObject { ["typeUrl"] = typed.TypeUrl, ["value"] = Shown(typed.Value) };
        if (message.Descriptor.File.Package == "google.protobuf")
            return JsonNode.Parse(Formatter.Format(message))!;
        var shown = new JsonObject();
        foreach (var field in message.Descriptor.Fields.InDeclarationOrder())
        {
            var value = field.Accessor.GetValue(message);
            if (field is { IsRepeated: false, HasPresence: true } ? field.Accessor.HasValue(message) : !IsDefault(value))
                shown[field.JsonName] = Shown(field, value);
        }
        return shown;
    }

    private static JsonNode Shown(FieldDescriptor field, object value) => value switch
    {
        IDictionary map => Shown(field.MessageType.Fields[2], map),
        IList items => new JsonArray([.. items.Cast<object>().Select(item => Shown(field, item))]),
        IMessage message => Shown(message),
        ByteString bytes => Shown(bytes),
        string text => text,
        bool flag => flag,
        int number => number,
        uint number => number,
        double number => number,
        // Proto JSON writes 64 bits as text.
        long or ulong => value.ToString()!,
        System.Enum => field.EnumType.FindValueByNumber((int)value).Name,
        _ => throw new InvalidOperationException($"{field.FullName} is of type {value.GetType()}, which this form does not write yet."),
    };

    private static string Shown(ByteString bytes) =>
        System.Text.Unicode.Utf8.IsValid(bytes.Span) ? "@text " + bytes.ToStringUtf8() : bytes.ToBase64();

    private static JsonObject Shown(FieldDescriptor valueField, IDictionary map)
    {
        var shown = new JsonObject();
        foreach (DictionaryEntry item in map)
            shown[item.Key.ToString()!] = Shown(valueField, item.Value!);
        return shown;
    }

    private static bool IsDefault(object? value) =>
        value is null or "" or 0 or 0u or 0L or 0UL or 0d or false or ByteString { Length: 0 } or ICollection { Count: 0 }
        || (value is System.Enum && (int)value == 0);
}
