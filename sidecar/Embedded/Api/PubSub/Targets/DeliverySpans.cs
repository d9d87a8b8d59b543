using EmbeddedSidecar.Tracing;

namespace EmbeddedSidecar.Api.PubSub.Targets;

/// <summary>The spans of a batch: one for each event that belongs to a trace.</summary>
internal sealed class DeliverySpans : IDisposable
{
    private readonly List<Span> _spans;

    private DeliverySpans(List<Span> spans) => _spans = spans;

    public IEnumerable<string> TraceParents => _spans.Select(span => span.TraceParent);

    /// <summary>Null where there are none.</summary>
    public static DeliverySpans? Start(SidecarTracing? tracing, string topic, IReadOnlyList<BatchEntry> entries)
    {
        if (tracing is null)
            return null;
        var spans = entries.Select(entry => tracing.StartDelivery(topic, entry.Header.TraceParent)).OfType<Span>().ToList();
        return spans.Count == 0 ? null : new(spans);
    }

    public void Answered(int status)
    {
        foreach (var span in _spans)
            span.Answered(status);
    }

    public void Fail(string description)
    {
        foreach (var span in _spans)
            span.Fail(description);
    }

    public void Dispose()
    {
        foreach (var span in _spans)
            span.Dispose();
    }
}
