using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Dapr;

namespace DaprOrders.EventSourcing.Publishing;

/// <summary>
/// An event as the complete CloudEvent that is published: the SDK takes it for one by its base class, whose own form has no id.
/// Extension attributes have lower-case letters and digits only (CloudEvents 1.0, naming conventions).
/// </summary>
[JsonConverter(typeof(Converter))]
internal sealed class PublishedEvent(string publisher, RecordedEvent recorded, string? signature) : CloudEvent
{
    private void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("specversion", "1.0");
        json.WriteString("id", recorded.Id);
        json.WriteString("source", publisher);
        json.WriteString("type", recorded.Type);
        json.WriteString("subject", recorded.Stream);
        json.WriteString("time", recorded.OccurredAt);
        json.WriteString("datacontenttype", "application/json");
        json.WriteString("stream", recorded.Stream);
        json.WriteString("streamversion", recorded.Version.ToString(CultureInfo.InvariantCulture));
        json.WriteString("schemaversion", recorded.SchemaVersion.ToString(CultureInfo.InvariantCulture));
        if (recorded.CausationId is not null)
        {
            json.WriteString("causationid", recorded.CausationId);
        }

        if (recorded.CorrelationId is { } correlation)
        {
            json.WriteString("correlationid", correlation);
        }

        if (EventTraces.ParentOf(recorded) is { } traceParent)
        {
            json.WriteString("traceid", traceParent);
            json.WriteString("traceparent", traceParent);
        }

        if (signature is not null)
        {
            json.WriteString(EventSigning.Attribute, signature);
        }

        json.WritePropertyName("data");
        RawJsonConverter.Write(json, recorded.Data);
        json.WriteEndObject();
    }

    private sealed class Converter : JsonConverter<PublishedEvent>
    {
        public override PublishedEvent Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException("A published event is only ever written.");

        public override void Write(Utf8JsonWriter writer, PublishedEvent value, JsonSerializerOptions options) => value.Write(writer);
    }
}
