using System.Diagnostics.Metrics;
using DaprOrders.Reporting.Orders;

namespace DaprOrders.Reporting.Following;

/// <summary>How far the read models are, and who listens. docs/observability.md says what each means.</summary>
internal sealed class ReportingMetrics
{
    private readonly Histogram<double> _delay;
    private readonly Gauge<long> _behind;
    private readonly Counter<long> _dropped;
    private readonly UpDownCounter<int> _clients;
    private readonly Gauge<int> _isFailing;
    private readonly Counter<long> _failures;

    public ReportingMetrics(IMeterFactory meters)
    {
        var meter = meters.Create("DaprOrders.Reporting");
        _delay = meter.CreateHistogram(
            "reporting.projection.delay", "s", "Age of events when they came into the read models that serve, from their commit.", tags: null,
            new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600] });
        _behind = meter.CreateGauge<long>("reporting.projection.behind", "{commit}", "Commits of a publisher's log that are not in the read models yet, by publisher and the topic that is read there.");
        _isFailing = meter.CreateGauge<int>("reporting.projection.failing", "{failure}", "1 while the logs cannot be followed.");
        _failures = meter.CreateCounter<long>("reporting.projection.failures", "{reading}", "Readings of the logs that failed; each is tried again.");
        _clients = meter.CreateUpDownCounter<int>("reporting.updates.clients", "{client}", "Clients that follow live updates here.");
        _dropped = meter.CreateCounter<long>("reporting.updates.dropped", "{client}", "Clients of live updates that were let go, since they did not keep up.");
    }

    // The clocks of machines differ.
    public void Applied(TimeSpan age) => _delay.Record(Math.Max(0, age.TotalSeconds));

    public void Behind(string publisher, long commits) => _behind.Record(commits, new("publisher", publisher), new("topic", SourceEvents.TopicOf(publisher)));

    public void Followed(bool isFailing)
    {
        _isFailing.Record(isFailing ? 1 : 0);
        if (isFailing)
            _failures.Add(1);
    }

    public void ClientCame() => _clients.Add(1);

    public void ClientGoes() => _clients.Add(-1);

    public void ClientDropped() => _dropped.Add(1);
}
