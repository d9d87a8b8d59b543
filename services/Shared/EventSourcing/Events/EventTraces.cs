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

    /// <summary>
    /// For an attribute <c>traceparent</c>: the span in which the event was made. Null when it was made without a trace. The same however often the event is
    /// published; where no span was sent, it names one that nobody has.
    /// </summary>
    public static string? ParentOf(RecordedEvent recorded) => ParentOf(recorded.CorrelationId, recorded.SpanId, recorded.Id);

    /// <summary>The span that runs here, if it is of this trace and will be sent.</summary>
    internal static string? PresentSpanIn(string? trace) =>
        // What is made without a listener, to carry the trace id, has the flags of its parent.
        Source.HasListeners() && Activity.Current is { Recorded: true } present && present.TraceId.ToHexString() == trace ? present.SpanId.ToHexString() : null;

    /// <summary>Begins work on events of possibly many traces: a part of the trace if they have one in common, otherwise a trace by itself with links to theirs.</summary>
    /// <returns>Null when nobody listens.</returns>
    public static Activity? Start(string name, ActivityKind kind, IEnumerable<RecordedEvent> events) =>
        Source.HasListeners() ? Start(Source, name, kind, [.. events.Select(ContextOf).Where(context => context != default)]) : null;

    /// <summary>Begins work that goes on with a stream in the background: a part of the trace of its last event.</summary>
    /// <returns>Null when nobody listens.</returns>
    public static Activity? Start<TState>(string name, ActivityKind kind, StreamState<TState> stream) =>
        Source.StartActivity(kind, ContextOf(ParentOf(stream.CorrelationId, stream.SpanId, $"{stream.Stream}:{stream.Version}")), name: name);

    private static Activity? Start(ActivitySource source, string name, ActivityKind kind, List<ActivityContext> origins) =>
        origins.Count > 0 && origins.TrueForAll(origin => origin.TraceId == origins[0].TraceId)
            ? source.StartActivity(kind, origins[0], name: name)
            // None of the traces is the parent, nor what happens to run around it.
            : source.StartActivity(
                kind, new ActivityContext(ActivityTraceId.CreateRandom(), default, ActivityTraceFlags.Recorded), links: origins.ConvertAll(origin => new ActivityLink(origin)), name: name);

    private static string? ParentOf(string? trace, string? span, string eventId) => trace is { Length: 32 } ? $"00-{trace}-{span ?? SpanIdOf(eventId)}-01" : null;

    private static ActivityContext ContextOf(RecordedEvent recorded) => ContextOf(ParentOf(recorded));

    private static ActivityContext ContextOf(string? traceParent) => ActivityContext.TryParse(traceParent, null, isRemote: true, out var context) ? context : default;

    private static string SpanIdOf(string eventId) =>
        BinaryPrimitives.ReadUInt64BigEndian(SHA256.HashData(Encoding.UTF8.GetBytes(eventId))).ToString("x16", CultureInfo.InvariantCulture);
}
