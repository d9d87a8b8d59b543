using System.Text.Json;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>What the sidecar itself needs of a CloudEvent that it delivers, read without building anything of it.</summary>
internal readonly record struct EventHeader(string? Id, string? TraceParent, DateTimeOffset? Expiration)
{
    /// <exception cref="JsonException">It is no JSON object.</exception>
    public static EventHeader Read(ReadOnlySpan<byte> cloudEvent)
    {
        string? id = null, traceId = null, traceParent = null;
        DateTimeOffset? expiration = null;
        var reader = new Utf8JsonReader(cloudEvent, GoJson.ReaderOptions);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
            throw new JsonException($"a CloudEvent is a JSON object, this is {reader.TokenType}");

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("id"u8))
                id = Text(ref reader);
            else if (reader.ValueTextEquals("traceparent"u8))
                traceParent = Text(ref reader);
            else if (reader.ValueTextEquals("traceid"u8))
                traceId = Text(ref reader);
            else if (reader.ValueTextEquals("expiration"u8))
                expiration = Text(ref reader) is { } text && DateTimeOffset.TryParse(text, null, out var time) ? time : null;
            else
                reader.Skip();
        }

        // Whatever comes behind the object makes it unreadable as a whole.
        reader.Read();
        return new(id, string.IsNullOrEmpty(traceParent) ? traceId : traceParent, expiration);
    }

    private static string? Text(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.String)
            return GoJson.Text(ref reader);
        reader.Skip();
        return null;
    }
}
