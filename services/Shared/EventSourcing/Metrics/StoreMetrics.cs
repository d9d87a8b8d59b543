using System.Diagnostics.Metrics;
using DaprOrders.EventSourcing.Lanes;

namespace DaprOrders.EventSourcing.Metrics;

/// <summary>What the event store counts, whoever listens. docs/observability.md says what each means.</summary>
internal static class StoreMetrics
{
    public const string MeterName = "DaprOrders.EventSourcing";

    private static readonly Meter Meter = new(MeterName);

    private static readonly Counter<long> Commits = Meter.CreateCounter<long>("eventstore.commits", "{commit}", "Batches that were committed.");

    private static readonly Histogram<int> BatchSize = Meter.CreateHistogram(
        "eventstore.commit.streams", "{stream}", "Streams in a committed batch.", tags: null,
        new InstrumentAdvice<int> { HistogramBucketBoundaries = [1, 2, 4, 8, 16, 32, 64, 128, 256] });

    private static readonly Histogram<double> CommitDuration = Meter.CreateHistogram(
        "eventstore.commit.duration", "s", "How long a batch took to be decided.", tags: null,
        new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] });

    private static readonly Counter<long> Events = Meter.CreateCounter<long>("eventstore.events", "{event}", "Events that were committed, by type.");

    private static readonly Counter<long> Conflicts = Meter.CreateCounter<long>(
        "eventstore.conflicts", "{append}", "Appends whose stream was changed by another instance; they are decided again.");

    private static readonly Counter<long> Adoptions = Meter.CreateCounter<long>(
        "eventstore.adoptions", "{lane}", "Lanes taken over from an instance that is gone.");

    private static readonly Counter<long> Published = Meter.CreateCounter<long>("eventstore.published", "{event}", "Events that the broker took, by topic.");

    private static readonly Counter<long> PublicationFailures = Meter.CreateCounter<long>(
        "eventstore.publication.failures", "{call}", "Calls of the broker that failed or were not answered in time, by topic; they are made again.");

    public static void Committed(List<PendingAppend> batch)
    {
        Commits.Add(1);
        BatchSize.Record(batch.Count);
        if (!Events.Enabled)
        {
            return;
        }

        foreach (var append in batch)
        {
            foreach (var recorded in append.Events)
            {
                Events.Add(1, new KeyValuePair<string, object?>("type", recorded.Type));
            }
        }
    }

    public static void Decided(TimeSpan duration) => CommitDuration.Record(duration.TotalSeconds);

    public static void Conflict() => Conflicts.Add(1);

    public static void Adopted() => Adoptions.Add(1);

    public static void BrokerTook(string topic, int events) => Published.Add(events, new KeyValuePair<string, object?>("topic", topic));

    public static void BrokerFailed(string topic) => PublicationFailures.Add(1, new KeyValuePair<string, object?>("topic", topic));
}
