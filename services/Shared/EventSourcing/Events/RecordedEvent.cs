using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DaprOrders.EventSourcing;

/// <summary>An event as it was committed; it never changes.</summary>
/// <param name="Stream">For instance <c>order-0192</c>.</param>
/// <param name="Version">1..n in its stream, without gap.</param>
/// <param name="Type">The name under which <see cref="EventTypes"/> knows it.</param>
/// <param name="SchemaVersion">The version of the payload's shape at the time it was written.</param>
/// <param name="CorrelationId">The trace that it belongs to (W3C trace id, 32 hex digits).</param>
/// <param name="CausationId">The id of the event or command that led to it.</param>
/// <param name="Data">The payload, as written.</param>
/// <param name="FoundBy">How the event that led to it was found, where its topic did not bring it: <see cref="IncomingEvent.ByCatchUp"/> or <see cref="IncomingEvent.ByGap"/>.</param>
/// <param name="SpanId">The span in which it was made (16 hex digits); null where spans of the trace were not sent.</param>
public sealed record RecordedEvent(
    string Stream,
    long Version,
    string Type,
    int SchemaVersion,
    DateTimeOffset OccurredAt,
    string? CorrelationId,
    string? CausationId,
    [property: JsonConverter(typeof(RawJsonConverter))] JsonElement Data,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? FoundBy = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? SpanId = null)
{
    /// <summary>The id that it is published under, the same however often: <c>{stream}:{version}</c>.</summary>
    public string Id => $"{Stream}:{Version}";

    /// <summary>What the payload takes.</summary>
    internal int Bytes => JsonMarshal.GetRawUtf8Value(Data).Length;
}
