using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace DaprOrders.EventSourcing;

/// <summary>JSON as a body of known length: a chunked one, as JsonContent is, is one that no sidecar ever sends twice.</summary>
public static class JsonBody
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    public static ByteArrayContent Of<T>(T value, JsonTypeInfo<T> type) => Of(JsonSerializer.SerializeToUtf8Bytes(value, type));

    public static ByteArrayContent Of<T>(T value, JsonSerializerOptions options) => Of(JsonSerializer.SerializeToUtf8Bytes(value, options));

    private static ByteArrayContent Of(byte[] json) => new(json) { Headers = { ContentType = Json } };
}
