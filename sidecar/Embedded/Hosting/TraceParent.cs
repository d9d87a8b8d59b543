using System.Diagnostics;
using System.Text.RegularExpressions;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// The W3C trace context of a call into the sidecar: the caller's trace with a span of the sidecar's own, or a new trace. Answered in the
/// <c>Traceparent</c> header, and handed on with what the call leads to (events, calls to the application).
/// </summary>
internal static partial class TraceParent
{
    private const string Header = "traceparent";
    private const string StateHeader = "tracestate";
    private const int LongestState = 512;
    private const int MostMembers = 32;

    /// <summary>The trace context of this call, for instance 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01.</summary>
    public static string Of(HttpContext context)
    {
        if (context.Items.TryGetValue(typeof(TraceParent), out var known) && known is string value)
            return value;

        return Begin(context, context.RequestServices.GetRequiredService<SidecarRuntime>());
    }

    /// <summary>As <see cref="Of"/>, for whoever asks first.</summary>
    public static string Begin(HttpContext context, SidecarRuntime runtime)
    {
        var traceParent = Continue(context.Request.Headers[Header], runtime.Loaded.Configuration.Tracing.RateOfNew);
        Set(context, traceParent);
        return traceParent;
    }

    /// <summary>The trace context of this call is that of a span that goes out.</summary>
    public static void Set(HttpContext context, string traceParent) => context.Items[typeof(TraceParent)] = traceParent;

    /// <summary>The tracestate that came with the call; empty where it, or the traceparent that it belongs to, cannot be read.</summary>
    public static string StateOf(HttpContext context)
    {
        var state = context.Request.Headers[StateHeader].ToString();
        return state.Length > 0 && IsState(state) && ActivityContext.TryParse(context.Request.Headers[Header], null, out _) ? state : "";
    }

    /// <summary>A new span in the given trace, or in a new one when there is none that can be read.</summary>
    /// <param name="incoming">The trace that it belongs to.</param>
    /// <param name="rateOfNew">How many new ones are sampled, from 0 to 1.</param>
    public static string Continue(string? incoming, double rateOfNew = 1)
    {
        var span = ActivitySpanId.CreateRandom();
        return ActivityContext.TryParse(incoming, null, out var parent)
            ? $"00-{parent.TraceId}-{span}-{Flags(parent.TraceFlags.HasFlag(ActivityTraceFlags.Recorded))}"
            : $"00-{ActivityTraceId.CreateRandom()}-{span}-{Flags(Random.Shared.NextDouble() < rateOfNew)}";

        static string Flags(bool isSampled) => isSampled ? "01" : "00";
    }

    /// <summary>W3C Trace Context, 3.3.1.</summary>
    private static bool IsState(string state)
    {
        if (state.Length > LongestState)
            return false;
        var members = state.Split(',', StringSplitOptions.TrimEntries);
        return members.Length <= MostMembers
            && members.All(member => Member().IsMatch(member))
            && members.DistinctBy(member => member[..member.IndexOf('=', StringComparison.Ordinal)]).Count() == members.Length;
    }

    [GeneratedRegex("^(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})=[ -+--<>-~]{0,255}[!-+--<>-~]$")]
    private static partial Regex Member();
}
