using System.Buffers;
using System.Globalization;
using System.Net.Mime;
using System.Text.Encodings.Web;
using System.Text.Json;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>What a CloudEvent gets from its surroundings.</summary>
/// <param name="BrokerDropsExpired">The event itself then says nothing of its end.</param>
internal readonly record struct EventOrigin(
    string AppId, string PubSub, string Topic, string TraceParent, string TraceState, TimeProvider Time, bool BrokerDropsExpired);

/// <summary>
/// Makes the CloudEvents that go to the broker (components-contrib/pubsub/envelope.go, pkg/runtime/pubsub/cloudevents.go): new ones
/// around any payload, and complete ones out of those that the publisher made.
/// </summary>
internal static class CloudEventEnvelope
{
    public const string ContentType = "application/cloudevents+json";

    private const string DefaultType = "com.dapr.event.sent";
    private const string DefaultSource = "Dapr";

    /// <summary>Go's longest duration, of 2^63 nanoseconds.</summary>
    private static readonly TimeSpan Longest = TimeSpan.FromTicks(long.MaxValue / 100);

    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <param name="origin">Who publishes where.</param>
    /// <param name="data">The payload; with a CloudEvents content type the event itself.</param>
    /// <param name="contentType">Of the payload; empty is text.</param>
    /// <param name="metadata">May override attributes (<c>cloudevent.id</c>, ...) of events made here, and set <c>ttlInSeconds</c>.</param>
    /// <exception cref="JsonException">The event is no JSON object; the text is Go's.</exception>
    public static byte[] Make(in EventOrigin origin, ReadOnlyMemory<byte> data, string? contentType, IReadOnlyDictionary<string, string>? metadata)
    {
        var buffer = new ArrayBufferWriter<byte>(data.Length + 768);
        using (var json = new Utf8JsonWriter(buffer, WriterOptions))
        {
            json.WriteStartObject();
            if (MediaTypes.Is(contentType, ContentType))
                Complete(json, origin, (GoJson.TryNormalize(data, out var normal) ? normal : data).Span, Expiration(metadata, origin));
            else
                WriteNew(json, origin, data, string.IsNullOrEmpty(contentType) ? MediaTypeNames.Text.Plain : contentType, metadata);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>What a subscriber with rawPayload gets: the broker's bytes in an event without a time.</summary>
    public static byte[] Wrap(string pubsub, string topic, ReadOnlyMemory<byte> data, IReadOnlyDictionary<string, string>? metadata)
    {
        string? Trace(string name) => metadata is not null && metadata.TryGetValue(name, out var value) ? value : null;

        var buffer = new ArrayBufferWriter<byte>(data.Length * 4 / 3 + 512);
        using (var json = new Utf8JsonWriter(buffer, WriterOptions))
        {
            json.WriteStartObject();
            json.WriteBase64String("data_base64"u8, data.Span);
            json.WriteString("datacontenttype"u8, MediaTypeNames.Application.Octet);
            json.WriteString("id"u8, Guid.NewGuid());
            json.WriteString("pubsubname"u8, pubsub);
            json.WriteString("source"u8, DefaultSource);
            json.WriteString("specversion"u8, "1.0"u8);
            json.WriteString("topic"u8, topic);
            if ((Trace("traceparent") ?? Trace("traceid")) is { } traceId)
                json.WriteString("traceid"u8, traceId);
            if (Trace("traceparent") is { } traceParent)
                json.WriteString("traceparent"u8, traceParent);
            if (Trace("tracestate") is { } traceState)
                json.WriteString("tracestate"u8, traceState);
            json.WriteString("type"u8, DefaultType);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>The event of an outbox: whatever the metadata of its operation names becomes a field (pkg/runtime/pubsub/outbox.go).</summary>
    public static byte[] MakeForOutbox(
        in EventOrigin origin, string id, ReadOnlyMemory<byte> data, string? contentType, IReadOnlyDictionary<string, string> metadata)
    {
        contentType = string.IsNullOrEmpty(contentType) ? MediaTypeNames.Text.Plain : contentType;
        var fields = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["datacontenttype"] = contentType,
            ["pubsubname"] = origin.PubSub,
            ["source"] = origin.AppId,
            ["specversion"] = "1.0",
            ["time"] = Format(origin.Time.GetLocalNow()),
            ["topic"] = origin.Topic,
            ["traceparent"] = "",
            ["tracestate"] = origin.TraceState,
            ["type"] = DefaultType,
        };
        foreach (var (name, value) in metadata)
            fields[name] = value;
        foreach (var own in new[] { "data", "data_base64" })
            fields.Remove(own);
        (fields["id"], fields["traceid"]) = (id, origin.TraceParent);

        var buffer = new ArrayBufferWriter<byte>(data.Length + 768);
        using (var json = new Utf8JsonWriter(buffer, WriterOptions))
        {
            json.WriteStartObject();
            WriteData(json, data, contentType);
            foreach (var (name, value) in fields)
                json.WriteString(name, value);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>The same event for another topic.</summary>
    public static byte[] Readdress(ReadOnlySpan<byte> cloudEvent, string pubsub, string topic)
    {
        var buffer = new ArrayBufferWriter<byte>(cloudEvent.Length + 64);
        using (var json = new Utf8JsonWriter(buffer, WriterOptions))
        {
            json.WriteStartObject();
            var reader = new Utf8JsonReader(cloudEvent, GoJson.ReaderOptions);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isAddress = AttributeOf(ref reader) == Attributes.Overwritten;
                if (!isAddress)
                    json.WritePropertyName(GoJson.Text(ref reader));
                reader.Read();
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                if (!isAddress)
                    json.WriteRawValue(cloudEvent[start..(int)reader.BytesConsumed], skipInputValidation: true);
            }

            json.WriteString("pubsubname"u8, pubsub);
            json.WriteString("topic"u8, topic);
            json.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>The fields in the order of Go's maps, which is that of their names.</summary>
    private static void WriteNew(
        Utf8JsonWriter json, in EventOrigin origin, ReadOnlyMemory<byte> data, string contentType, IReadOnlyDictionary<string, string>? metadata)
    {
        var overrides = Overrides.Read(metadata);
        var traceParent = overrides.TraceParent ?? overrides.TraceId ?? origin.TraceParent;
        WriteData(json, data, contentType);
        json.WriteString("datacontenttype"u8, contentType);
        if (Expiration(metadata, origin) is { } expiration)
            json.WriteString("expiration"u8, expiration);
        json.WriteString("id"u8, overrides.Id ?? Guid.NewGuid().ToString());
        json.WriteString("pubsubname"u8, origin.PubSub);
        json.WriteString("source"u8, overrides.Source ?? origin.AppId);
        json.WriteString("specversion"u8, "1.0"u8);
        if (!string.IsNullOrEmpty(overrides.Subject))
            json.WriteString("subject"u8, overrides.Subject);
        json.WriteString("time"u8, Format(origin.Time.GetLocalNow()));
        json.WriteString("topic"u8, origin.Topic);
        json.WriteString("traceid"u8, traceParent);
        json.WriteString("traceparent"u8, traceParent);
        json.WriteString("tracestate"u8, overrides.TraceState ?? origin.TraceState);
        json.WriteString("type"u8, overrides.Type ?? DefaultType);
    }

    private static void WriteData(Utf8JsonWriter json, ReadOnlyMemory<byte> data, string contentType)
    {
        if (MediaTypes.Is(contentType, MediaTypeNames.Application.Octet) || MediaTypes.Is(contentType, "application/cloudevents+protobuf"))
        {
            json.WriteBase64String("data_base64"u8, data.Span);
            return;
        }

        json.WritePropertyName("data"u8);
        if (MediaTypes.Is(contentType, MediaTypeNames.Application.Json) && GoJson.TryNormalize(data, out var value))
            GoJson.WriteCompact(json, value.Span);
        else
            GoJson.WriteText(json, data.Span);
    }

    /// <summary>Everything stays as it came but topic and pubsubname; what is missing (or null) is added, but never an id.</summary>
    private static void Complete(Utf8JsonWriter json, in EventOrigin origin, ReadOnlySpan<byte> data, string? expiration)
    {
        var seen = Attributes.None;
        ReadOnlySpan<byte> traceId = default, traceParent = default;
        try
        {
            var reader = new Utf8JsonReader(data, GoJson.ReaderOptions);
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
                throw new JsonException($"json: cannot unmarshal {Kind(reader.TokenType)} into Go value of type map[string]interface {{}}");

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var attribute = AttributeOf(ref reader);
                var name = attribute == Attributes.None ? GoJson.Text(ref reader) : null;
                reader.Read();
                var isNull = reader.TokenType == JsonTokenType.Null;
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                var value = data[start..(int)reader.BytesConsumed];
                switch (attribute)
                {
                    case Attributes.None:
                        json.WritePropertyName(name!);
                        GoJson.WriteCompact(json, value);
                        break;
                    case Attributes.TraceId:
                        traceId = isNull ? default : value;
                        break;
                    case Attributes.TraceParent:
                        traceParent = isNull ? default : value;
                        break;
                    case Attributes.Overwritten:
                        break;
                    case Attributes.Expiration when expiration is not null:
                        break;
                    default:
                        if (!isNull || attribute == Attributes.Expiration)
                        {
                            seen |= attribute;
                            json.WritePropertyName(NameOf(attribute));
                            GoJson.WriteCompact(json, value);
                        }

                        break;
                }
            }

            // Something behind the object is refused too.
            reader.Read();
        }
        catch (JsonException error)
        {
            throw new JsonException(GoJsonSyntax.Describe(data) ?? error.Message, error);
        }

        json.WriteString("topic"u8, origin.Topic);
        json.WriteString("pubsubname"u8, origin.PubSub);
        if (expiration is not null)
            json.WriteString("expiration"u8, expiration);
        if (!seen.HasFlag(Attributes.Time))
            json.WriteString("time"u8, Format(origin.Time.GetLocalNow()));
        if (!seen.HasFlag(Attributes.Source))
            json.WriteString("source"u8, DefaultSource);
        if (!seen.HasFlag(Attributes.Type))
            json.WriteString("type"u8, DefaultType);
        if (!seen.HasFlag(Attributes.SpecVersion))
            json.WriteString("specversion"u8, "1.0"u8);
        if (!seen.HasFlag(Attributes.TraceState))
            json.WriteString("tracestate"u8, origin.TraceState);
        WriteTrace(json, "traceid"u8, traceParent.IsEmpty ? traceId : traceParent, origin.TraceParent);
        WriteTrace(json, "traceparent"u8, traceParent.IsEmpty ? traceId : traceParent, origin.TraceParent);
    }

    private static void WriteTrace(Utf8JsonWriter json, ReadOnlySpan<byte> name, ReadOnlySpan<byte> own, string current)
    {
        json.WritePropertyName(name);
        if (own.IsEmpty)
            json.WriteStringValue(current);
        else
            json.WriteRawValue(own, skipInputValidation: true);
    }

    /// <summary>Go's word for what begins with the token.</summary>
    private static string Kind(JsonTokenType token) => token switch
    {
        JsonTokenType.StartArray => "array",
        JsonTokenType.True or JsonTokenType.False => "bool",
        _ => token.ToString().ToLowerInvariant(),
    };

    /// <summary>
    /// Where the broker knows no time to live the event carries its end, and the subscriber's sidecar looks at it. It is a duration, or a number of seconds above 0
    /// (components-contrib, metadata/utils.go, TryGetTTL); a wrong one is ignored.
    /// </summary>
    private static string? Expiration(IReadOnlyDictionary<string, string>? metadata, in EventOrigin origin)
    {
        if (origin.BrokerDropsExpired || (MetadataFields.Find(metadata, "ttl") ?? MetadataFields.Find(metadata, "ttlInSeconds")) is not { } text)
            return null;
        if (!GoDuration.TryParse(text, out var duration))
        {
            if (!long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var seconds) || seconds <= 0)
                return null;
            duration = seconds < Longest.TotalSeconds ? TimeSpan.FromSeconds(seconds) : Longest;
        }

        return Format(origin.Time.GetUtcNow() + (duration < TimeSpan.Zero ? TimeSpan.Zero : duration < Longest ? duration : Longest));
    }

    private static string Format(DateTimeOffset time) => time.Offset == TimeSpan.Zero
        ? time.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture)
        : time.ToString("yyyy-MM-dd'T'HH:mm:sszzz", CultureInfo.InvariantCulture);

    private static Attributes AttributeOf(ref Utf8JsonReader reader)
    {
        if (reader.ValueTextEquals("topic"u8) || reader.ValueTextEquals("pubsubname"u8))
            return Attributes.Overwritten;
        if (reader.ValueTextEquals("time"u8))
            return Attributes.Time;
        if (reader.ValueTextEquals("source"u8))
            return Attributes.Source;
        if (reader.ValueTextEquals("type"u8))
            return Attributes.Type;
        if (reader.ValueTextEquals("specversion"u8))
            return Attributes.SpecVersion;
        if (reader.ValueTextEquals("tracestate"u8))
            return Attributes.TraceState;
        if (reader.ValueTextEquals("traceid"u8))
            return Attributes.TraceId;
        if (reader.ValueTextEquals("traceparent"u8))
            return Attributes.TraceParent;
        return reader.ValueTextEquals("expiration"u8) ? Attributes.Expiration : Attributes.None;
    }

    private static ReadOnlySpan<byte> NameOf(Attributes attribute) => attribute switch
    {
        Attributes.Time => "time"u8,
        Attributes.Source => "source"u8,
        Attributes.Type => "type"u8,
        Attributes.SpecVersion => "specversion"u8,
        Attributes.Expiration => "expiration"u8,
        _ => "tracestate"u8,
    };

    [Flags]
    private enum Attributes
    {
        None = 0,
        Time = 1,
        Source = 2,
        Type = 4,
        SpecVersion = 8,
        TraceState = 16,
        TraceId = 32,
        TraceParent = 64,
        Expiration = 128,
        Overwritten = 256,
    }

    /// <summary>Attributes given by metadata. There is none for the time.</summary>
    private readonly record struct Overrides(
        string? Id, string? Source, string? Type, string? Subject, string? TraceId, string? TraceParent, string? TraceState)
    {
        public static Overrides Read(IReadOnlyDictionary<string, string>? metadata) => metadata is null or { Count: 0 }
            ? default
            : new(
                Find(metadata, "id"), Find(metadata, "source"), Find(metadata, "type"), Find(metadata, "subject"), Find(metadata, "traceid"),
                Find(metadata, "traceparent"), Find(metadata, "tracestate"));

        private static string? Find(IReadOnlyDictionary<string, string> metadata, string attribute) =>
            MetadataFields.Find(metadata, "cloudevent." + attribute) is { Length: > 0 } value ? value : null;
    }
}
