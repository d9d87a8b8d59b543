using System.Text.Json;
using System.Text.Json.Serialization;

namespace DaprOrders.EventSourcing.Streams;

/// <summary>
/// The one document that a stream commits by, key <c>stream|{id}</c>: the latest events, and where the older ones are. Version 0 with no
/// events is an empty tip: the stream does not exist, but its key does, so that a write which was given up can no longer land.
/// </summary>
internal sealed record Tip
{
    // Before Empty, which takes it: static members are initialised from top to bottom.
    private static readonly Dictionary<string, long> NoPositions = [];

    public static Tip Empty { get; } = new();

    [JsonPropertyName("v")]
    public long Version { get; init; }

    /// <summary>Of the last write, events or not.</summary>
    [JsonPropertyName("c")]
    public string? CommitId { get; init; }

    [JsonPropertyName("e")]
    public IReadOnlyList<StoredEvent> Events { get; init; } = [];

    /// <summary>Pages 1..n hold the events before <see cref="Events"/>.</summary>
    [JsonPropertyName("p")]
    public int Pages { get; init; }

    /// <summary>The state before <see cref="Events"/>, when pages exist.</summary>
    [JsonPropertyName("s")]
    public Snapshot? Snapshot { get; init; }

    /// <summary>By source stream, the last version applied here.</summary>
    [JsonPropertyName("x")]
    public IReadOnlyDictionary<string, long> Positions { get; init; } = NoPositions;

    [JsonPropertyName("t")]
    public DateTimeOffset? CreatedAt { get; init; }

    [JsonIgnore]
    public long FirstVersion => Version - Events.Count + 1;

    public static string KeyOf(string stream) => $"stream|{stream}";

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, DocumentJson.Default.Tip);

    public static Tip Read(ReadOnlyMemory<byte> bytes) => JsonSerializer.Deserialize(bytes.Span, DocumentJson.Default.Tip) ?? Empty;
}

/// <summary>The state after <c>Version</c>, valid while the category's snapshot version is <c>Shape</c>.</summary>
internal sealed record Snapshot(
    [property: JsonPropertyName("v")] long Version,
    [property: JsonPropertyName("n")] int Shape,
    [property: JsonPropertyName("d"), JsonConverter(typeof(RawJsonConverter))] JsonElement State,
    [property: JsonPropertyName("t")] DateTimeOffset? UpdatedAt);

/// <summary>Older events of a stream, key <c>stream|{id}|page|{n}</c>; written once, never changed.</summary>
internal sealed record Page([property: JsonPropertyName("e")] IReadOnlyList<StoredEvent> Events)
{
    public static string KeyOf(string stream, int number) => $"stream|{stream}|page|{number}";

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, DocumentJson.Default.Page);

    public static Page Read(ReadOnlyMemory<byte> bytes) =>
        JsonSerializer.Deserialize(bytes.Span, DocumentJson.Default.Page) ?? throw new JsonException("An event page is null.");
}

/// <summary>An event inside a tip or a page; the stream is in the key.</summary>
internal sealed record StoredEvent(
    [property: JsonPropertyName("v")] long Version,
    [property: JsonPropertyName("y")] string Type,
    [property: JsonPropertyName("n")] int SchemaVersion,
    [property: JsonPropertyName("t")] DateTimeOffset OccurredAt,
    [property: JsonPropertyName("r")] string? CorrelationId,
    [property: JsonPropertyName("u")] string? CausationId,
    [property: JsonPropertyName("c")] string CommitId,
    [property: JsonPropertyName("d"), JsonConverter(typeof(RawJsonConverter))] JsonElement Data,
    [property: JsonPropertyName("k")] string? Name = null,
    [property: JsonPropertyName("f")] string? FoundBy = null,
    [property: JsonPropertyName("s")] string? SpanId = null)
{
    /// <summary>Where a named event is found once it has left the tip.</summary>
    public static string KeyOf(string stream, string name) => $"stream|{stream}|name|{name}";

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, DocumentJson.Default.StoredEvent);

    public static StoredEvent Read(ReadOnlyMemory<byte> bytes) =>
        JsonSerializer.Deserialize(bytes.Span, DocumentJson.Default.StoredEvent) ?? throw new JsonException("A named event is null.");

    public RecordedEvent Of(string stream) => new(stream, Version, Type, SchemaVersion, OccurredAt, CorrelationId, CausationId, Data, FoundBy, SpanId);
}
