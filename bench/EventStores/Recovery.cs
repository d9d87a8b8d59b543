using System.Diagnostics;
using DaprOrders.Bench.Measuring;
using DaprOrders.EventSourcing;

namespace DaprOrders.Bench.EventStores;

/// <summary>How long the next instance needs to publish what an instance left behind: it is read back from the lane and its streams.</summary>
internal static class Recovery
{
    private const int Writers = 256;

    public static async Task MeasureAsync(BenchSidecars sidecars, int events, CancellationToken cancellationToken)
    {
        var filling = Stopwatch.StartNew();
        await using (var filled = await sidecars.StartStoreAsync(groupCommit: true, cancellationToken, new HeldBack()))
        {
            var next = 0;
            await Task.WhenAll(Enumerable.Range(0, Writers).Select(_ => Task.Run(
                async () =>
                {
                    for (var n = Interlocked.Increment(ref next); n <= events; n = Interlocked.Increment(ref next))
                        await Ticks.AppendAsync(filled.Store, $"unpublished-{n}", isNew: true, cancellationToken);
                },
                cancellationToken)));
            await filled.AbandonAsync();
        }

        var filledAt = events / filling.Elapsed.TotalSeconds;
        var clock = Stopwatch.StartNew();
        await using var recovering = await sidecars.StartStoreAsync(groupCommit: true, cancellationToken);
        var ready = clock.Elapsed;
        await recovering.StopAsync(cancellationToken);
        var published = clock.Elapsed;

        var rate = events / published.TotalSeconds;
        Report.Line("Taking over a lane that an instance left behind with nothing published (one event to a stream).");
        Report.Table(
            ["unpublished events", "takes commands after, ms", "all published after, s", "events/s", "published : appended"],
            [[$"{events}", Report.Figure(ready.TotalMilliseconds), Report.Figure(published.TotalSeconds), Report.Figure(rate), Report.Ratio(rate, filledAt)]]);
    }

    private sealed class HeldBack : IEventPublisher
    {
        public Task PublishAsync(string topic, IReadOnlyList<RecordedEvent> events, CancellationToken cancellationToken) =>
            Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken);
    }
}
