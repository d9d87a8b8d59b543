using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
using DaprOrders.EventSourcing;

namespace DaprOrders.ServiceDefaults.Topics;

/// <summary>One event of a delivery, as it came.</summary>
/// <param name="EntryId">Its name in a bulk envelope; empty in a delivery of one.</param>
internal readonly record struct DeliveredEvent(string EntryId, JsonElement CloudEvent);

/// <summary>What a sidecar posts to a subscription's route: one CloudEvent, or a bulk envelope of many.</summary>
internal sealed record Delivery(bool IsBulk, IReadOnlyList<DeliveredEvent> Events)
{
    private const int FewestBytes = 4 * 1024;
    private const int MostBytesAtFirst = 1024 * 1024;

    /// <summary>Reads a body; one that is no JSON becomes one event that is a JSON string, so that it can be kept and shown.</summary>
    public static async Task<Delivery> ReadAsync(Stream body, long? length, CancellationToken cancellationToken)
    {
        var root = await ParseAsync(body, length, cancellationToken);
        return root.ValueKind == JsonValueKind.Object
            && root.TryGetProperty("entries", out var entries)
            && entries.ValueKind == JsonValueKind.Array
            ? new Delivery(true, [.. entries.EnumerateArray().Select(Entry)])
            : new Delivery(false, [new DeliveredEvent("", root)]);
    }

    // What is read is pooled: a batch of a hundred events would be a large object each time. Payloads live on in the copy that is parsed.
    private static async Task<JsonElement> ParseAsync(Stream body, long? length, CancellationToken cancellationToken)
    {
        // One byte more than is told: the end is read into it.
        var (bytes, count) = (ArrayPool<byte>.Shared.Rent((int)Math.Clamp((length ?? 0) + 1, FewestBytes, MostBytesAtFirst)), 0);
        try
        {
            for (int read; (read = await body.ReadAsync(bytes.AsMemory(count), cancellationToken)) > 0;)
            {
                count += read;
                if (count == bytes.Length)
                {
                    var larger = ArrayPool<byte>.Shared.Rent(2 * count);
                    bytes.CopyTo(larger, 0);
                    ArrayPool<byte>.Shared.Return(bytes);
                    bytes = larger;
                }
            }

            return Parse(bytes.AsSpan(0, count));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private static JsonElement Parse(ReadOnlySpan<byte> body)
    {
        try
        {
            return JsonElement.Parse(body);
        }
        catch (JsonException)
        {
            return JsonSerializer.SerializeToElement(Encoding.UTF8.GetString(body));
        }
    }

    private static DeliveredEvent Entry(JsonElement entry) => new(
        entry.TryGetProperty("entryId", out var id) ? id.GetString() ?? "" : "",
        entry.TryGetProperty("event", out var cloudEvent) ? cloudEvent : default);
}

/// <summary>A delivered event that cannot be read: it is no use to try it again.</summary>
internal sealed class UnreadableEventException(string message) : Exception(message);

/// <summary>
/// Reads the CloudEvents that the relay makes: id <c>{stream}:{version}</c>, source the publisher's app id, the extension attributes
/// <c>stream</c>, <c>streamversion</c>, <c>schemaversion</c>, <c>correlationid</c>, <c>causationid</c>, with a key <c>signature</c>, and the payload in <c>data</c>. Events that are
/// fetched from the publisher's log do not come this way and have no signature: there it is this service that calls, by the app id that the
/// topic belongs to, and the answer is the publisher's.
/// </summary>
internal static class CloudEvents
{
    /// <param name="publisher">The app id whose topic it came on: nobody else's event is taken, and nobody else is asked for what is missing.</param>
    public static IncomingEvent Read(JsonElement cloudEvent, string publisher, EventTypes types, EventSigning signing) =>
        IncomingEvent.Of(publisher, ReadRecorded(cloudEvent, publisher, signing), types);

    /// <summary>As above, before its payload is decoded.</summary>
    public static RecordedEvent ReadRecorded(JsonElement cloudEvent, string publisher, EventSigning signing)
    {
        if (cloudEvent.ValueKind != JsonValueKind.Object)
            throw new UnreadableEventException($"Expected a CloudEvent as a JSON object; got {cloudEvent.ValueKind}.");

        // Once through, since this runs for every event that every service gets: to look for each attribute by itself is to go through them a dozen times.
        JsonElement id = default, source = default, stream = default, version = default, type = default, schema = default, time = default, correlation = default, causation = default,
            data = default, signature = default;
        foreach (var attribute in cloudEvent.EnumerateObject())
        {
            if (attribute.NameEquals("id"u8))
                id = attribute.Value;
            else if (attribute.NameEquals("source"u8))
                source = attribute.Value;
            else if (attribute.NameEquals("stream"u8))
                stream = attribute.Value;
            else if (attribute.NameEquals("streamversion"u8))
                version = attribute.Value;
            else if (attribute.NameEquals("type"u8))
                type = attribute.Value;
            else if (attribute.NameEquals("schemaversion"u8))
                schema = attribute.Value;
            else if (attribute.NameEquals("time"u8))
                time = attribute.Value;
            else if (attribute.NameEquals("correlationid"u8))
                correlation = attribute.Value;
            else if (attribute.NameEquals("causationid"u8))
                causation = attribute.Value;
            else if (attribute.NameEquals("data"u8))
                data = attribute.Value;
            else if (attribute.NameEquals(EventSigning.Attribute))
                signature = attribute.Value;
        }

        var from = Required(source, "source");
        if (from != publisher)
            throw new UnreadableEventException($"The CloudEvent's source is '{from}'; only {publisher} publishes on this topic.");

        var recorded = new RecordedEvent(
            Required(stream, "stream"),
            Number(version, "streamversion"),
            Required(type, "type"),
            (int)Number(schema, "schemaversion"),
            Time(time),
            Text(correlation),
            Text(causation),
            data.ValueKind != JsonValueKind.Undefined ? data : throw new UnreadableEventException("The CloudEvent has no 'data'."));
        if (signing.IsOn)
            RequireSignature(Text(signature), id, from, recorded, signing);
        return recorded;
    }

    public static string? Text(JsonElement cloudEvent, string attribute) =>
        cloudEvent.ValueKind == JsonValueKind.Object
        && cloudEvent.TryGetProperty(attribute, out var value)
            ? Text(value)
            : null;

    private static string? Text(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static void RequireSignature(string? signature, JsonElement id, string source, RecordedEvent recorded, EventSigning signing)
    {
        if (signature is null)
            throw new UnreadableEventException(
                $"The CloudEvent has no '{EventSigning.Attribute}': it is not from {source}, or {source} runs without {EventSigning.Setting}.");
        if (!signing.IsGenuine(source, Required(id, "id"), recorded, signature))
            throw new UnreadableEventException(
                $"The CloudEvent's '{EventSigning.Attribute}' is not of {source} over this event: it was made or changed by somebody else, "
                + $"or {source} signs by a key that is not in {EventSigning.Setting} here.");
    }

    private static string Required(JsonElement value, string attribute) => Text(value) is { Length: > 0 } text ? text : throw Missing(attribute, "a text");

    /// <summary>CloudEvents' JSON format has integers as numbers; some brokers hand attributes on as text.</summary>
    private static long Number(JsonElement value, string attribute)
    {
        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number > 0)
            return number;
        if (value.ValueKind == JsonValueKind.String
            && long.TryParse(value.GetString(), NumberStyles.None, CultureInfo.InvariantCulture, out number) && number > 0)
            return number;
        throw Missing(attribute, "a whole number from 1");
    }

    private static DateTimeOffset Time(JsonElement value) =>
        value.ValueKind == JsonValueKind.String && value.TryGetDateTimeOffset(out var time) ? time : throw Missing("time", "RFC 3339");

    private static UnreadableEventException Missing(string attribute, string expected) => new($"The CloudEvent has no '{attribute}' ({expected} is expected).");
}
