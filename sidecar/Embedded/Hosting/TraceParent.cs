using System.Diagnostics;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// The W3C trace context of a call into the sidecar: the caller's trace with a span of the sidecar's own, or a new trace. Answered in the
/// <c>Traceparent</c> header, and handed on with what the call leads to (events, calls to the application).
/// </summary>
internal static class TraceParent
{
    private const string Header = "traceparent";

    /// <summary>The trace context of this call, for instance 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.</summary>
    public static string Of(HttpContext context)
    {
        if (context.Items.TryGetValue(typeof(TraceParent), out var known) && known is string value)
            return value;

        var traceParent = Continue(context.Request.Headers[Header]);
        context.Items[typeof(TraceParent)] = traceParent;
        return traceParent;
    }

    /// <summary>The tracestate that came with the call; empty when there was none.</summary>
    public static string StateOf(HttpContext context) => context.Request.Headers["tracestate"].ToString();

    /// <summary>A new span in the given trace, or in a new one when there is none that can be read.</summary>
    public static string Continue(string? incoming)
    {
        var span = ActivitySpanId.CreateRandom();
        return ActivityContext.TryParse(incoming, null, out var parent)
            ? $"00-{parent.TraceId}-{span}-{(parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded) ? "01" : "00")}"
            : $"00-{ActivityTraceId.CreateRandom()}-{span}-01";
    }
}
