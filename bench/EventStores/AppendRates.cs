using System.Diagnostics;
using DaprOrders.Bench.Measuring;
using DaprOrders.EventSourcing;
using Microsoft.Data.Sqlite;

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

    private static readonly int[] WriterCounts = [1, 16, 64, 256];
    private int _run;

    public async Task MeasureAsync(CancellationToken cancellationToken)
    {
        Report.Line("Appends per second; every event is published to a durable topic meanwhile.");
        var bare = BareCommits(cancellationToken);
        Report.Line($"One row, one SQLite commit (synchronous=FULL), without anything else: {Report.Figure(bare)}/s");
        Report.Line();
        foreach (var written in Enum.GetValues<Written>())
            await RoundAsync(groupCommit: true, written, 64, cancellationToken);
        await RoundAsync(groupCommit: false, Written.Own, 64, cancellationToken);

        var rows = new List<IReadOnlyList<string>>();
        foreach (var written in Enum.GetValues<Written>())
        {
            foreach (var writers in WriterCounts)
            {
                // In turns, so that what else the machine does meets both alike.
                var (single, group) = (new Samples(), new Samples());
                for (var round = 0; round < rounds; round++)
                {
                    single.Add(await RoundAsync(groupCommit: false, written, writers, cancellationToken));
                    group.Add(await RoundAsync(groupCommit: true, written, writers, cancellationToken));
                }

                rows.Add([
                    written.ToString().ToLowerInvariant(), $"{writers}", Report.Figure(single.Median), Report.Figure(group.Median),
                    Report.Ratio(group.Median, single.Median), Report.Ratio(group.Median, bare)]);
            }
        }

        Report.Table(["streams", "writers", "one by one /s", "group commit /s", "group : one by one", "group : bare commit"], rows);
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

    // The floor below one-by-one commits: what the disk and SQLite need for one of them.
    private double BareCommits(CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("daprorders-bench-bare-");
        var rates = new Samples();
        using (var connection = new SqliteConnection($"Data Source={Path.Combine(folder.FullName, "bare.db")};Pooling=False"))
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE row (key TEXT NOT NULL PRIMARY KEY, value BLOB NOT NULL)";
            command.ExecuteNonQuery();
            command.CommandText = "INSERT INTO row (key, value) VALUES ($key, $value)";
            var key = command.Parameters.AddWithValue("$key", "");
            command.Parameters.AddWithValue("$value", new byte[400]);
            for (var round = 0; round < rounds; round++)
            {
                var commits = 0;
                var clock = Stopwatch.StartNew();
                while (clock.Elapsed < time)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    key.Value = $"{round}-{commits++}";
                    command.ExecuteNonQuery();
                }

                rates.Add(commits / clock.Elapsed.TotalSeconds);
            }
        }

        folder.Delete(recursive: true);
        return rates.Median;
    }
}
