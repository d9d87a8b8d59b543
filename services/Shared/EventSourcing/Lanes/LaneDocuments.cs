using System.Text.Json;
using System.Text.Json.Serialization;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>
/// Who owns a lane and how far it is settled and published; key <c>lane|{name}</c>. While the owner lives it is written again and again:
/// <c>WrittenAt</c>, by the owner's clock, makes each writing another one.
/// </summary>
internal sealed record Head(
    [property: JsonPropertyName("o")] string? Owner,
    [property: JsonPropertyName("e")] long Epoch,
    [property: JsonPropertyName("l")] DateTimeOffset WrittenAt,
    [property: JsonPropertyName("s")] long Settled,
    [property: JsonPropertyName("p")] long Published)
{
    public static string KeyOf(string lane) => $"lane|{lane}";

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, DocumentJson.Default.Head);

    public static Head Read(ReadOnlyMemory<byte> bytes) =>
        JsonSerializer.Deserialize(bytes.Span, DocumentJson.Default.Head) ?? throw new JsonException("The head of a lane is null.");
}

/// <summary>
/// What one batch is about to commit; key <c>lane|{name}|{n}</c>, written once. A fence is the first segment of a new owner: it stands where
/// the former owner's next one would, who can then commit no more.
/// </summary>
internal sealed record Segment(
    [property: JsonPropertyName("e")] long Epoch,
    [property: JsonPropertyName("b")] string BatchId,
    [property: JsonPropertyName("x")] IReadOnlyList<SegmentEntry> Entries)
{
    public static string KeyOf(string lane, long number) => $"lane|{lane}|{number}";

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, DocumentJson.Default.Segment);

    public static Segment Read(ReadOnlyMemory<byte> bytes) =>
        JsonSerializer.Deserialize(bytes.Span, DocumentJson.Default.Segment) ?? throw new JsonException("A segment is null.");
}

/// <summary>Versions <c>From</c>..<c>To</c> of a stream, under one commit id; their payloads have <c>Bytes</c>, null where that was not written down.</summary>
internal sealed record SegmentEntry(
    [property: JsonPropertyName("s")] string Stream,
    [property: JsonPropertyName("f")] long From,
    [property: JsonPropertyName("t")] long To,
    [property: JsonPropertyName("c")] string CommitId,
    [property: JsonPropertyName("o")] string? Topic,
    [property: JsonPropertyName("z")] long? Bytes = null);

/// <summary>All lanes of a service; key <c>lanes</c>.</summary>
internal sealed record LaneList([property: JsonPropertyName("l")] IReadOnlyList<string> Names)
{
    public const string Key = "lanes";

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, DocumentJson.Default.LaneList);

    public static LaneList Read(ReadOnlyMemory<byte> bytes) =>
        JsonSerializer.Deserialize(bytes.Span, DocumentJson.Default.LaneList) ?? throw new JsonException("The list of lanes is null.");
}
