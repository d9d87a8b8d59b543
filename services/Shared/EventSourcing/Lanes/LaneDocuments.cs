using System.Text.Json;
using System.Text.Json.Serialization;

namespace DaprOrders.EventSourcing.Lanes;

/// <summary>
/// Who owns a lane and how far it is settled and published; key <c>lane|{name}</c>. While the owner lives it is written again and again:
/// <c>WrittenAt</c>, by the owner's clock, makes each writing another one.
/// </summary>
/// <param name="Owner">The instance by name; <c>Incarnation</c> tells its runs apart, and two that were given one name.</param>
internal sealed record Head(
    [property: JsonPropertyName("o")] string? Owner,
    [property: JsonPropertyName("e")] long Epoch,
    [property: JsonPropertyName("l")] DateTimeOffset WrittenAt,
    [property: JsonPropertyName("s")] long Settled,
    [property: JsonPropertyName("p")] long Published)
{
    [JsonPropertyName("i")]
    public string? Incarnation { get; init; }

    /// <summary>Closed by a recovery: nothing is committed under this lane any more, so that no position is ever given to another commit.</summary>
    [JsonPropertyName("c")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool IsClosed { get; init; }

    /// <summary>Positions that the store has lost, in order.</summary>
    [JsonPropertyName("x")]
    public IReadOnlyList<LostPositions>? Lost { get; init; }

    public bool IsSameAs(Head other) => ToBytes().AsSpan().SequenceEqual(other.ToBytes());

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

    /// <summary>The batch id of the fence that the owner of a head puts.</summary>
    public static string FenceIdOf(Head head) => $"fence-{head.Incarnation}-{head.Epoch}";

    /// <summary>The batch of a stored segment, without reading its entries.</summary>
    public static string? BatchIdOf(ReadOnlyMemory<byte> bytes)
    {
        var reader = new Utf8JsonReader(bytes.Span);
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == 1 && reader.ValueTextEquals("b"u8))
            {
                return reader.Read() ? reader.GetString() : null;
            }
        }

        return null;
    }

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

/// <summary>
/// All lanes of a service; key <c>lanes</c>. A name stands for one history: it is never used again, also when the list was lost.
/// </summary>
internal sealed record LaneList([property: JsonPropertyName("l")] IReadOnlyList<string> Names)
{
    public const string Key = "lanes";

    public static LaneList Empty { get; } = new([]);

    /// <summary>Not null while the store is known to have gone back in time: then nothing is committed.</summary>
    [JsonPropertyName("w")]
    public Loss? Loss { get; init; }

    /// <summary>How many losses were recovered from: whoever knows of one can tell whether it is over or was itself forgotten.</summary>
    [JsonPropertyName("r")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public long Recoveries { get; init; }

    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, DocumentJson.Default.LaneList);

    public static LaneList Read(ReadOnlyMemory<byte> bytes) =>
        JsonSerializer.Deserialize(bytes.Span, DocumentJson.Default.LaneList) ?? throw new JsonException("The list of lanes is null.");
}

/// <summary>The store went back in time; noticed by the instance <c>By</c>.</summary>
/// <param name="DeclaredAt">When an operator said that work may go on without what is lost; null until then.</param>
internal sealed record Loss(
    [property: JsonPropertyName("a")] DateTimeOffset At,
    [property: JsonPropertyName("b")] string By,
    [property: JsonPropertyName("d")] DateTimeOffset? DeclaredAt,
    [property: JsonPropertyName("l")] IReadOnlyList<LostLane> Lanes)
{
    /// <summary>With what another instance knows of it.</summary>
    public Loss With(IEnumerable<LostLane> lanes) => this with
    {
        Lanes = [.. Lanes.Concat(lanes).GroupBy(lane => lane.Lane).Select(lane => new LostLane(
            lane.Key, lane.Max(one => one.Epoch), lane.Min(one => one.From), lane.Max(one => one.To)))],
    };
}

/// <summary>Of a lane everything up to <c>To</c> was settled by its owner of <c>Epoch</c>; of that <c>From</c>..<c>To</c> is lost, or parts of it.</summary>
internal sealed record LostLane(
    [property: JsonPropertyName("n")] string Lane,
    [property: JsonPropertyName("e")] long Epoch,
    [property: JsonPropertyName("f")] long From,
    [property: JsonPropertyName("t")] long To);
