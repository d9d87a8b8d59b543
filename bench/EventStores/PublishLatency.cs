using System.Diagnostics;
using DaprOrders.Bench.Measuring;
using DaprOrders.EventSourcing;

namespace DaprOrders.Bench.EventStores;

/// <summary>From the moment at which the writer knows of its commit to the arrival of the event at a subscribed application.</summary>
internal static class PublishLatency
{
    private const int Alone = 300;
    private const int WarmUp = 100;
    private const int PerSecond = 500;
    private const int TicksPerSecond = 50;

    private static readonly TimeSpan PacedFor = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan ArriveWithin = TimeSpan.FromSeconds(30);

    public static async Task MeasureAsync(BenchSidecars sidecars, CancellationToken cancellationToken)
    {
        await using var listener = await Listener.StartAsync(sidecars.ListenerPort, cancellationToken);
        await sidecars.SubscriberReady.WaitAsync(ArriveWithin, cancellationToken);
        await using var running = await sidecars.StartStoreAsync(groupCommit: true, cancellationToken);
        await OneAtATimeAsync(running.Store, listener, "warm-up", WarmUp, cancellationToken);
        var idle = await OneAtATimeAsync(running.Store, listener, "idle", Alone, cancellationToken);
        var paced = await PacedAsync(running.Store, listener, cancellationToken);
        await running.StopAsync(cancellationToken);

        Report.Line("From commit to delivery at a subscribed application, ms.");
        Report.Table(
            ["load", "events", "p50", "p99", "longest"],
            [Row("one at a time", idle), Row($"{PerSecond} appends/s", paced)]);
    }

    private static string[] Row(string load, Samples latency) =>
        [load, $"{latency.Count}", Report.Figure(latency.Median), Report.Figure(latency.Percentile(0.99)), Report.Figure(latency.Percentile(1))];

    private static async Task<Samples> OneAtATimeAsync(
        EventStore store, Listener listener, string name, int count, CancellationToken cancellationToken)
    {
        var latency = new Samples();
        for (var i = 0; i < count; i++)
            latency.Add(await AppendAsync(store, listener, $"{name}-{i}", cancellationToken));
        return latency;
    }

    private static async Task<Samples> PacedAsync(EventStore store, Listener listener, CancellationToken cancellationToken)
    {
        var appends = new List<Task<double>>();
        using var timer = new PeriodicTimer(TimeSpan.FromSeconds(1.0 / TicksPerSecond));
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < PacedFor && await timer.WaitForNextTickAsync(cancellationToken))
        {
            for (var due = clock.Elapsed.TotalSeconds * PerSecond; appends.Count < due;)
                appends.Add(AppendAsync(store, listener, $"paced-{appends.Count}", cancellationToken));
        }

        return Samples.Of(await Task.WhenAll(appends));
    }

    private static async Task<double> AppendAsync(EventStore store, Listener listener, string id, CancellationToken cancellationToken)
    {
        var handled = await Ticks.AppendAsync(store, id, isNew: true, cancellationToken);
        var committed = Stopwatch.GetTimestamp();
        var arrived = await listener.ArrivalOf(handled.Appended[0].Id).WaitAsync(ArriveWithin, cancellationToken);

        // The event may arrive before the writer has learnt of its commit.
        return Math.Max(0, Stopwatch.GetElapsedTime(committed, arrived).TotalMilliseconds);
    }
}
