using System.CommandLine;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.EventStores;

internal static class AppendCommand
{
    private static readonly Option<double> Seconds = new("--seconds") { Description = "Length of a round", DefaultValueFactory = _ => 1 };

    private static readonly Option<int> Rounds = new("--rounds") { Description = "Rounds, of which the median counts", DefaultValueFactory = _ => 5 };

    private static readonly Option<int[]> Writers = new("--writers")
    {
        Description = "How many append at once",
        DefaultValueFactory = _ => [1, 16, 64, 256],
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<Written[]> Streams = new("--streams")
    {
        Description = "What they append to",
        DefaultValueFactory = _ => Enum.GetValues<Written>(),
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<int> Unpublished = new("--unpublished")
    {
        Description = "Events that are left behind for the recovery; 0 leaves it out",
        DefaultValueFactory = _ => 100_000,
    };

    public static Command Create()
    {
        var command = new Command("append", "Appends per second with and without group commit, latency of publication, recovery")
        {
            Seconds, Rounds, Writers, Streams, Unpublished, BenchSidecars.State,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            Report.Machine();
            await using var sidecars = await BenchSidecars.StartAsync(parsed.GetValue(BenchSidecars.State), cancellationToken);
            var time = TimeSpan.FromSeconds(parsed.GetValue(Seconds));
            await new AppendRates(sidecars, time, parsed.GetValue(Rounds)).MeasureAsync(
                parsed.GetRequiredValue(Streams), parsed.GetRequiredValue(Writers), cancellationToken);
            if (parsed.GetValue(Unpublished) is > 0 and var unpublished)
            {
                await using var recovery = await BenchSidecars.StartAsync(parsed.GetValue(BenchSidecars.State), cancellationToken);
                await Recovery.MeasureAsync(recovery, unpublished, cancellationToken);
            }

            await using var latency = await BenchSidecars.StartAsync(parsed.GetValue(BenchSidecars.State), cancellationToken);
            await PublishLatency.MeasureAsync(latency, cancellationToken);
        });
        return command;
    }
}
