using System.Diagnostics;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Tracing;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>The spans of the events of one bulk publication, so that what each of them leads to is told from the others.</summary>
internal sealed class EventSpans : IDisposable
{
    private readonly Span[] _spans;

    private EventSpans(Span[] spans) => _spans = spans;

    /// <summary>The trace context of one event.</summary>
    public string this[int index] => _spans[index].TraceParent;

    /// <summary>Null where nobody takes spans.</summary>
    public static EventSpans? Start(SidecarTracing? tracing, HttpContext call, int count)
    {
        if (tracing is null)
            return null;
        var (name, parent) = (call.Request.Path.Value!, TraceParent.Of(call));
        return new([.. Enumerable.Range(0, count).Select(_ => tracing.Start(name, ActivityKind.Producer, parent))]);
    }

    public void Dispose()
    {
        foreach (var span in _spans)
            span.Dispose();
    }
}
