using System.Diagnostics.Metrics;

namespace DaprOrders.ServiceDefaults.Topics;

/// <summary>What became of deliveries, by topic. docs/observability.md says what each means.</summary>
internal static class DeliveryMetrics
{
    private static readonly Meter Meter = new("DaprOrders.Topics");

    private static readonly Counter<long> Deliveries = Meter.CreateCounter<long>(
        "topics.deliveries", "{event}", "Events that were delivered, by topic and answer: success, retry (they come again), drop (they become dead letters).");

    private static readonly Histogram<double> Age = Meter.CreateHistogram(
        "topics.delivery.age", "s", "Age of events when they were handled, from their commit, by topic: how far this consumer is behind.", tags: null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600] });

    public static void Answered(string topic, IReadOnlyList<DeliveryStatus> statuses)
    {
        if (!Deliveries.Enabled)
            return;

        Answered(topic, statuses, DeliveryStatus.Success, "success");
        Answered(topic, statuses, DeliveryStatus.Retry, "retry");
        Answered(topic, statuses, DeliveryStatus.Drop, "drop");
    }

    // The clocks of machines differ.
    public static void Handled(string topic, TimeSpan age) => Age.Record(Math.Max(0, age.TotalSeconds), new KeyValuePair<string, object?>("topic", topic));

    private static void Answered(string topic, IReadOnlyList<DeliveryStatus> statuses, DeliveryStatus status, string answer)
    {
        var count = 0;
        for (var i = 0; i < statuses.Count; i++)
            count += statuses[i] == status ? 1 : 0;
        if (count > 0)
            Deliveries.Add(count, new("topic", topic), new("answer", answer));
    }
}
