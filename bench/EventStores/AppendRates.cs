using System.Diagnostics;
using DaprOrders.Bench.Measuring;
using DaprOrders.EventSourcing;

namespace DaprOrders.Bench.EventStores;

/// <summary>Which streams the writers append to.</summary>
internal enum Written
{
    /// <summary>Every append creates a stream.</summary>
    New,

    /// <summary>Every writer has a stream of its own, which it reads and appends to again and again.</summary>
    Own,

    /// <summary>Four writers to a stream: three of four conflict, read again and decide again.</summary>
    Shared,
}

/// <summary>Appends per second, by closed loops: a writer begins the next append when the last one is durable.</summary>
internal sealed class AppendRates(BenchSidecars sidecars, TimeSpan time, int rounds)
{
    private const int WritersPerSharedStream = 4;

    private int _run;

    public async Task MeasureAsync(IReadOnlyList<Written> streams, IReadOnlyList<int> writerCounts, CancellationToken cancellationToken)
    {
        Report.Line("Appends per second, every event published to a durable topic meanwhile; beside them what one caller gets from bare SQLite.");
        using var disk = new BareCommits();
        foreach (var written in streams)
            await RoundAsync(groupCommit: true, written, 64, cancellationToken);
        await RoundAsync(groupCommit: false, Written.Own, 64, cancellationToken);

        var rows = new List<IReadOnlyList<string>>();
        foreach (var written in streams)
        {
            foreach (var writers in writerCounts)
            {
                // In turns, so that what else the machine does meets both alike.
                var (single, group, bare) = (new Samples(), new Samples(), new Samples());
                for (var round = 0; round < rounds; round++)
                {
                    bare.Add(disk.Measure());
                    single.Add(await RoundAsync(groupCommit: false, written, writers, cancellationToken));
                    group.Add(await RoundAsync(groupCommit: true, written, writers, cancellationToken));
                }

                rows.Add([
                    written.ToString().ToLowerInvariant(), $"{writers}", Report.Figure(bare.Median), Report.Figure(single.Median), Report.Figure(group.Median),
                    Report.Ratio(group.Median, single.Median), Report.Ratio(group.Median, bare.Median)]);
            }
        }

        Report.Table(["streams", "writers", "bare commits /s", "one by one /s", "group commit /s", "group : one by one", "group : bare commit"], rows);
    }

    private async Task<double> RoundAsync(bool groupCommit, Written written, int writers, CancellationToken cancellationToken)
    {
        var run = ++_run;
        await using var running = await sidecars.StartStoreAsync(groupCommit, cancellationToken);
        var clock = Stopwatch.StartNew();
        var appended = await Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(
            () => WriteAsync(running.Store, written, $"{run}-{writer}", $"{run}-{writer / WritersPerSharedStream}", clock, cancellationToken),
            cancellationToken)));
        var rate = appended.Sum() / clock.Elapsed.TotalSeconds;
        await running.StopAsync(cancellationToken);
        return rate;
    }

    private async Task<int> WriteAsync(
        EventStore store, Written written, string own, string shared, Stopwatch clock, CancellationToken cancellationToken)
    {
        var appended = 0;
        while (clock.Elapsed < time)
        {
            var stream = written switch
            {
                Written.New => $"{own}-{appended}",
                Written.Own => own,
                _ => $"shared-{shared}",
            };
            await Ticks.AppendAsync(store, stream, isNew: written == Written.New, cancellationToken);
            appended++;
        }

        return appended;
    }
}
