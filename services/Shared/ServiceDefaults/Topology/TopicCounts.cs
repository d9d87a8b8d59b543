using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace DaprOrders.ServiceDefaults.Topology;

/// <summary>
/// Events by topic, from the service's own meters: of a bulk delivery daprd counts the calls alone (1.18). It counts from when it is first asked for.
/// </summary>
internal sealed class TopicCounts : IDisposable
{
    private readonly MeterListener _listener = new();

    public TopicCounts()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument is { Meter.Name: "DaprOrders.EventSourcing", Name: "eventstore.published" })
                listener.EnableMeasurementEvents(instrument, Published);
            else if (instrument is { Meter.Name: "DaprOrders.Topics", Name: "topics.deliveries" })
                listener.EnableMeasurementEvents(instrument, Delivered);
        };
        _listener.SetMeasurementEventCallback<long>(Count);
        _listener.Start();
    }

    public ConcurrentDictionary<string, long> Published { get; } = new();

    /// <summary>Whatever was answered.</summary>
    public ConcurrentDictionary<string, long> Delivered { get; } = new();

    public void Dispose() => _listener.Dispose();

    private static void Count(Instrument instrument, long events, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? counts)
    {
        foreach (var (name, value) in tags)
        {
            if (name == "topic")
                ((ConcurrentDictionary<string, long>)counts!).AddOrUpdate((string)value!, events, (_, before) => before + events);
        }
    }
}
