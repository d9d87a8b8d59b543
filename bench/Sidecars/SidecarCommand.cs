using System.CommandLine;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Sidecars;

/// <summary>
/// What a sidecar does in a second, per component, through its public APIs; in turns with a real daprd where the environment variable
/// DAPR_RUNTIME names a folder with the programs daprd, placement and scheduler.
/// </summary>
internal static class SidecarCommand
{
    private static readonly Option<double> Seconds = new("--seconds") { Description = "Length of a round", DefaultValueFactory = _ => 3 };

    private static readonly Option<double> WarmUp = new("--warm-up") { Description = "Seconds of the same before each round", DefaultValueFactory = _ => 2 };

    private static readonly Option<int> Rounds = new("--rounds") { Description = "Rounds, of which the median counts", DefaultValueFactory = _ => 3 };

    private static readonly Option<FileInfo[]> State = new("--state")
    {
        Description = "Component files of further state stores, each with a component named statestore; state.in-memory and state.sqlite are always measured",
    };

    private static readonly Option<FileInfo[]> PubSub = new("--pubsub")
    {
        Description = "Component files of further brokers, each with a component named pubsub; pubsub.in-memory, and here pubsub.sqlite, are always measured",
    };

    private static readonly Option<string> Only = new("--only") { Description = "Measures what has these words in its name, the component's included, for instance \"redis bulk gets\"", DefaultValueFactory = _ => "" };

    public static Command Create()
    {
        var command = new Command("sidecar", "State, publishing, delivery, invocation and actors through a sidecar, each a second; beside a daprd where DAPR_RUNTIME names one")
        {
            Seconds, WarmUp, Rounds, State, PubSub, Only,
        };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            Report.Machine();
            var bench = new SidecarBench(
                TimeSpan.FromSeconds(parsed.GetValue(WarmUp)), TimeSpan.FromSeconds(parsed.GetValue(Seconds)), parsed.GetValue(Rounds), parsed.GetValue(Only)!,
                Environment.GetEnvironmentVariable("DAPR_RUNTIME"));
            await bench.MeasureAsync(
                [BenchComponent.InMemoryState, BenchComponent.SqliteState, .. (parsed.GetValue(State) ?? []).Select(BenchComponent.Read)],
                [BenchComponent.InMemoryPubSub, BenchComponent.SqlitePubSub, .. (parsed.GetValue(PubSub) ?? []).Select(BenchComponent.Read)],
                cancellationToken);
        });
        return command;
    }
}
