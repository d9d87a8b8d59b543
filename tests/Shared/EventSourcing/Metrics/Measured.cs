using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using DaprOrders.EventSourcing.Metrics;

namespace DaprOrders.EventSourcing.Tests.Metrics;

/// <summary>What the event stores count that are started under it, and those alone, whatever runs beside them.</summary>
internal sealed class Measured : IDisposable
{
    private static readonly AsyncLocal<Measured?> Present = new();

    private readonly MeterListener _listener = new();
    private readonly ConcurrentQueue<(string Instrument, double Value, string? Tag)> _measurements = [];

    public Measured()
    {
        Present.Value = this;
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == StoreMetrics.MeterName)
                listener.EnableMeasurementEvents(instrument);
        };
        _listener.SetMeasurementEventCallback<int>((instrument, value, tags, _) => Note(instrument, value, tags));
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Note(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Note(instrument, value, tags));
        _listener.Start();
    }

    /// <summary>What was measured, in order.</summary>
    public IReadOnlyList<double> Of(string instrument, string? tag = null) =>
        [.. _measurements.Where(measured => measured.Instrument == instrument && (tag is null || measured.Tag == tag)).Select(measured => measured.Value)];

    /// <summary>Reads the gauges.</summary>
    public void Observe() => _listener.RecordObservableInstruments();

    public void Dispose() => _listener.Dispose();

    private void Note(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        if (Present.Value == this)
            _measurements.Enqueue((instrument.Name, value, tags.Length > 0 ? $"{tags[0].Value}" : null));
    }
}
