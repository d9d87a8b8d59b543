using System.Diagnostics.Metrics;

namespace DaprOrders.EventSourcing.Metrics;

/// <summary>What is read off the event store of a service when somebody asks, and costs nothing else.</summary>
internal static class StoreGauges
{
    /// <param name="meters">Those of the host: what it made is gone with it.</param>
    public static void Observe(EventStore store, IMeterFactory meters)
    {
        var meter = meters.Create(StoreMetrics.MeterName);
        meter.CreateObservableGauge(
            "eventstore.relay.lag", () => store.RelayLag.TotalSeconds, "s", "Age of the oldest committed event that the broker does not have yet; 0 while it has all.");
        meter.CreateObservableGauge(
            "eventstore.unpublished", () => store.Unpublished, "{commit}", "Committed batches of this instance's lane that are not published yet.");
        meter.CreateObservableGauge("eventstore.queue.commands", () => store.CommandsAtWork, "{command}", "Commands at work or waiting.");
        meter.CreateObservableGauge("eventstore.queue.size", () => store.QueuedBytes, "By", "Bytes that wait for their commit.");
        meter.CreateObservableGauge(
            "eventstore.loss", () => store.Loss is null ? 0 : 1, "{loss}", "1 while the state store is known to have gone back in time and the recovery is not through.");
    }
}
