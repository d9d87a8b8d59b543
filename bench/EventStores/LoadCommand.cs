using System.CommandLine;
using System.Diagnostics;
using DaprOrders.Bench.Measuring;
using DaprOrders.EventSourcing;

namespace DaprOrders.Bench.EventStores;

/// <summary>What one append and one load cost by the length of the stream. One caller, one call at a time, the lengths in turns.</summary>
internal static class LoadCommand
{
    // Streams are built by commits of 10 events, of which three fill a page: so each length leaves 10 events in the tip, and 32 appends later
    // it holds 10 again, after one page was moved. Every length passes the same states of a tip.
    private const int EventsPerCommit = 10;
    private const int AppendsPerRound = 32;

    private static readonly int[] Lengths = [10, 1_000, 10_000];

    private static readonly Option<int> Streams = new("--streams") { Description = "Streams of each length", DefaultValueFactory = _ => 8 };

    private static readonly Option<int> Rounds = new("--rounds") { Description = "Rounds of 32 appends and loads per stream", DefaultValueFactory = _ => 5 };

    public static Command Create()
    {
        var command = new Command("load", "Cost of an append and of a load at stream lengths 10, 1,000 and 10,000") { Streams, Rounds, BenchSidecars.State };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            Report.Machine();
            await using var sidecars = await BenchSidecars.StartAsync(parsed.GetValue(BenchSidecars.State), cancellationToken);
            await using var running = await sidecars.StartStoreAsync(groupCommit: true, cancellationToken);
            await MeasureAsync(running.Store, parsed.GetValue(Streams), parsed.GetValue(Rounds), cancellationToken);
            await running.StopAsync(cancellationToken);
        });
        return command;
    }

    private static async Task MeasureAsync(EventStore store, int streams, int rounds, CancellationToken cancellationToken)
    {
        var appends = Lengths.ToDictionary(length => length, _ => new Samples());
        var loads = Lengths.ToDictionary(length => length, _ => new Samples());
        for (var round = 0; round <= rounds; round++)
        {
            // A few rounds leave a long stream as long as it was; a short one is made anew.
            foreach (var length in Lengths.Where(length => round == 0 || length == Lengths[0]))
                await Task.WhenAll(Enumerable.Range(0, streams).Select(stream => BuildAsync(store, Id(round, length, stream), length, cancellationToken)));

            for (var i = 0; i < AppendsPerRound; i++)
            {
                for (var stream = 0; stream < streams; stream++)
                {
                    for (var turn = 0; turn < Lengths.Length; turn++)
                    {
                        var length = Lengths[(i + stream + turn) % Lengths.Length];
                        var (append, load) = await TimeAsync(store, Id(round, length, stream), cancellationToken);

                        // The first round is the warm-up.
                        if (round > 0)
                        {
                            appends[length].Add(append);
                            loads[length].Add(load);
                        }
                    }
                }
            }
        }

        Report.Line("One append (read, decide, commit) and one load, ms; a page is moved by every 32nd append.");
        Report.Table(
            ["stream length", "append p50", "append mean", "p50 : length 10", "load p50", "load mean", "p50 : length 10"],
            Lengths.Select(length => new[]
            {
                $"{length}",
                Report.Figure(appends[length].Median),
                Report.Figure(appends[length].Mean),
                Report.Ratio(appends[length].Median, appends[Lengths[0]].Median),
                Report.Figure(loads[length].Median),
                Report.Figure(loads[length].Mean),
                Report.Ratio(loads[length].Median, loads[Lengths[0]].Median),
            }));
    }

    private static string Id(int round, int length, int stream) => length == Lengths[0] ? $"{length}-{stream}-{round}" : $"{length}-{stream}";

    private static async Task BuildAsync(EventStore store, string id, int length, CancellationToken cancellationToken)
    {
        for (var built = 0; built < length; built += EventsPerCommit)
            await Ticks.AppendAsync(store, id, isNew: built == 0, cancellationToken, EventsPerCommit);
    }

    private static async Task<(double Append, double Load)> TimeAsync(EventStore store, string id, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        await Ticks.AppendAsync(store, id, isNew: false, cancellationToken);
        var appended = Stopwatch.GetTimestamp();
        await store.LoadAsync(Ticks.Category, id, cancellationToken);
        var loaded = Stopwatch.GetTimestamp();
        return (Stopwatch.GetElapsedTime(started, appended).TotalMilliseconds, Stopwatch.GetElapsedTime(appended, loaded).TotalMilliseconds);
    }
}
