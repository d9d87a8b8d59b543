using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace DaprOrders.EventSourcing;

/// <summary>
/// The trace that an event belongs to: that of the request which began the work, and the same for all that follows from it, however long after and in
/// whatever service. It is kept with the event as its correlation id.
/// </summary>
public static class EventTraces
{
    private static readonly ActivitySource Source = new("DaprOrders.EventSourcing");

    /// <summary>For an attribute <c>traceparent</c>; null when the event was made without a trace. The same however often the event is published.</summary>
    public static string? ParentOf(RecordedEvent recorded) => recorded.CorrelationId is { Length: 32 } trace ? $"00-{trace}-{SpanIdOf(recorded.Id)}-01" : null;

    /// <summary>Begins work on events of possibly many traces: a part of the trace if they have one in common, otherwise a trace by itself with links to theirs.</summary>
    /// <returns>Null when nobody listens.</returns>
    public static Activity? Start(string name, ActivityKind kind, IEnumerable<RecordedEvent> events) =>
        Source.HasListeners() ? Start(Source, name, kind, [.. events.Select(ContextOf).Where(context => context != default)]) : null;

    private static Activity? Start(ActivitySource source, string name, ActivityKind kind, List<ActivityContext> origins) =>
        origins.Count > 0 && origins.TrueForAll(origin => origin.TraceId == origins[0].TraceId)
            ? source.StartActivity(kind, origins[0], name: name)
            // None of the traces is the parent, nor what happens to run around it.
            : source.StartActivity(
                kind, new ActivityContext(ActivityTraceId.CreateRandom(), default, ActivityTraceFlags.Recorded), links: origins.ConvertAll(origin => new ActivityLink(origin)), name: name);

    private static ActivityContext ContextOf(RecordedEvent recorded) =>
        ActivityContext.TryParse(ParentOf(recorded), null, isRemote: true, out var context) ? context : default;

    private static string SpanIdOf(string eventId) =>
        BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(eventId))).ToString("x16", CultureInfo.InvariantCulture);
}
