using System.Text.Json;
using System.Text.Json.Serialization;

namespace DaprOrders.EventSourcing;

/// <summary>A committed event that the broker refuses, while it takes others: in its stream and in the log it is as ever, only its topic lacks it.</summary>
/// <param name="Topic">Where it was to be published.</param>
/// <param name="Reason">What the broker answered last.</param>
/// <param name="Lane">Of the event log; null where an earlier version parked it.</param>
public sealed record ParkedEvent(string Stream, long Version, string Topic, string Reason, DateTimeOffset ParkedAt, string? Lane = null)
{
    public string Id => $"{Stream}:{Version}";
}

/// <summary>All parked events of a service; key <c>parked</c>. The events themselves stay where they are.</summary>
internal sealed record ParkedList([property: JsonPropertyName("e")] IReadOnlyList<ParkedEvent> Events)
{
    public const string Key = "parked";

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, DocumentJson.Default.ParkedList);

    public static ParkedList Read(ReadOnlyMemory<byte> bytes) =>
        JsonSerializer.Deserialize(bytes.Span, DocumentJson.Default.ParkedList) ?? throw new JsonException("The list of parked events is null.");
}
