using System.CommandLine;
using System.Globalization;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <summary>
/// What a second replica of a service changes: systems of this command's own, each beside one with one replica of everything. A pair takes turns, since what
/// the machine gives may be another a minute later.
/// </summary>
internal static class ReplicasCommand
{
    private const string All = "all";

    private static readonly string[] HotSku = ["bench-hot"];
    private static readonly TimeSpan SettleWithin = TimeSpan.FromMinutes(1);
    private static readonly Dictionary<string, string> NoSettings = [];

    private static readonly Option<string[]> Doubled = new("--service")
    {
        Description = "The one that has two replicas, or all; may be repeated. Without it each in turn, and then all",
        DefaultValueFactory = _ => [.. OrdersSystem.Apps, All],
    };

    private static readonly Option<string> Components = new("--components") { Description = "A folder of components/; its servers must run", DefaultValueFactory = _ => "local" };
    private static readonly Option<double> Seconds = new("--seconds") { Description = "Length of each load", DefaultValueFactory = _ => 12 };
    private static readonly Option<double> WarmUp = new("--warm-up") { Description = "Seconds of load after each start", DefaultValueFactory = _ => 20 };
    private static readonly Option<double?> Rate = new("--rate") { Description = "Orders per second of the second load; without it half of what the first system shipped" };

    public static Command Create()
    {
        Doubled.AcceptOnlyFromAmong([.. OrdersSystem.Apps, All]);
        var command = new Command("replicas", "Starts the system with one and with two replicas of each service: orders shipped, a hot SKU, lanes") { Doubled, Components, Seconds, WarmUp, Rate };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var measure = new Replicas(
                parsed.GetValue(Components)!, TimeSpan.FromSeconds(parsed.GetValue(Seconds)), TimeSpan.FromSeconds(parsed.GetValue(WarmUp)), parsed.GetValue(Rate));
            Report.Machine();
            var pairs = new List<Pair>();
            foreach (var doubled in parsed.GetValue(Doubled)!)
                pairs.Add(await measure.PairAsync(doubled, cancellationToken));
            ShowFlow(pairs);
            ShowHotSku(pairs);
            if (pairs.Any(pair => pair.Doubled == OrdersSystem.Apps[0]))
                ShowLanes(await measure.LanesAsync(cancellationToken));
            return pairs.TrueForAll(pair => pair.One.IsAtRest && pair.Two.IsAtRest) ? 0 : 1;
        });
        return command;
    }

    private static void ShowFlow(List<Pair> pairs)
    {
        Report.Line(string.Create(
            CultureInfo.InvariantCulture,
            $"As many orders as are answered: shipped/s, CPU ms of all processes an order. Then {pairs[0].One.Steady.Rate:N0} a second: p50 and p99 from POST to shipped. Each beside one replica of everything."));
        Report.Table(
            ["two of", "shipped/s", ": one", "p50 ms", ": one", "p99 ms", ": one", "CPU ms", ": one"],
            pairs.SelectMany(pair => new[] { Row("one each", pair.One, pair.One), Row(pair.Doubled, pair.Two, pair.One) }));
    }

    private static string[] Row(string what, Measured measured, Measured one)
    {
        var row = new List<string> { what };
        Add(measured.Full.ShippedPerSecond, one.Full.ShippedPerSecond);
        Add(measured.Steady.Journeys.Median, one.Steady.Journeys.Median);
        Add(measured.Steady.Journeys.Percentile(0.99), one.Steady.Journeys.Percentile(0.99));
        Add(Processor(measured), Processor(one));
        if (!measured.IsAtRest)
            row[0] += " (not all ended)";
        return [.. row];

        void Add(double value, double baseline)
        {
            row.Add(Report.Figure(value));
            row.Add(Report.Ratio(value, baseline));
        }

        static double Processor(Measured of) => of.Full.Costs.Processor.TotalMilliseconds / of.Full.Ended;
    }

    private static void ShowHotSku(List<Pair> pairs)
    {
        if (pairs.Find(pair => pair.Doubled == "inventory") is not { One.Hot: { } one, Two.Hot: { } two })
            return;
        Report.Line("Every order wants the same SKU. Conflicts are appends of Inventory whose stream the other replica had changed.");
        Report.Table(
            ["Inventory", "shipped/s", ": one", "conflicts", "an order"],
            new[] { ("one", one), ("two", two) }.Select(hot => new[]
            {
                hot.Item1,
                Report.Figure(hot.Item2.Run.ShippedPerSecond),
                Report.Ratio(hot.Item2.Run.ShippedPerSecond, one.Run.ShippedPerSecond),
                $"{hot.Item2.Conflicts:N0}",
                Report.Figure(hot.Item2.Conflicts / hot.Item2.Run.Load.Accepted),
            }));
    }

    private static void ShowLanes(IReadOnlyList<Lanes> lanes)
    {
        Report.Line("Ordering without the others, as many orders as are answered. Each replica commits to a lane of its own.");
        Report.Table(
            ["Ordering", "201/s", ": one", "p99 ms", "commits/s", "orders a commit"],
            lanes.Select(measured => new[]
            {
                $"{measured.Replicas}",
                Report.Figure(measured.Load.PerSecond),
                Report.Ratio(measured.Load.PerSecond, Samples.Of(lanes.Where(one => one.Replicas == 1).Select(one => one.Load.PerSecond)).Mean),
                Report.Figure(measured.Load.Latency.Percentile(0.99)),
                Report.Figure(measured.Commits / measured.Load.Took.TotalSeconds),
                Report.Figure(measured.Load.Accepted / measured.Commits),
            }));
    }

    /// <param name="Doubled">An app id, or all.</param>
    private sealed record Pair(string Doubled, Measured One, Measured Two);

    /// <param name="Full">As many orders as were answered.</param>
    /// <param name="Hot">Where it was asked for.</param>
    private sealed record Measured(FlowRun Full, FlowRun Steady, HotRun? Hot)
    {
        public bool IsAtRest => Full.IsAtRest && Steady.IsAtRest && Hot is not { Run.IsAtRest: false };
    }

    private sealed record HotRun(FlowRun Run, double Conflicts);

    private sealed record Lanes(int Replicas, LoadRound Load, double Commits);

    private sealed class Replicas(string components, TimeSpan time, TimeSpan warmUp, double? rate)
    {
        private static readonly string[] Names = LoadOptions.SkuNames();

        private double? _rate = rate;

        public async Task<Pair> PairAsync(string doubled, CancellationToken cancellationToken)
        {
            var hot = doubled == "inventory";
            var one = await MeasureAsync(_ => 1, hot, cancellationToken);
            return new Pair(doubled, one, await MeasureAsync(app => OrdersSystem.Apps.Contains(app) && doubled is All || app == doubled ? 2 : 1, hot, cancellationToken));
        }

        /// <summary>One, two, and one again, on the data of one system, which has the products.</summary>
        public async Task<IReadOnlyList<Lanes>> LanesAsync(CancellationToken cancellationToken)
        {
            using var folder = new TemporaryFolder();
            await using (var started = await StartAsync(folder.Path, _ => 1, NoSettings, cancellationToken))
            {
                using var system = OrdersSystem.At(started);
                using var load = new LoadGenerator(LoadOptions.Callers, Names);
                await system.OfferAsync(Names, cancellationToken);
                await new Flow(system, load, SettleWithin).RunAsync(TimeSpan.FromSeconds(1), null, open: 0, cancellationToken);
            }

            // Nobody takes orders further here.
            var settings = new Dictionary<string, string> { ["Ordering__MostOrdersUnderway"] = "0" };
            var lanes = new List<Lanes>();
            foreach (var replicas in new[] { 1, 2, 1 })
            {
                await using var started = await StartAsync(folder.Path, app => app == "ordering" ? replicas : 0, settings, cancellationToken);
                using var load = new LoadGenerator(LoadOptions.Callers, Names);
                var addresses = started.AddressesOf("ordering");
                await load.RunAsync(addresses, time / 2, null, cancellationToken);
                var before = await CommitsAsync();
                var round = await load.RunAsync(addresses, time / 2, null, cancellationToken);
                lanes.Add(new(replicas, round, await CommitsAsync() - before));

                Task<double> CommitsAsync() => started.CounterAsync("ordering", "eventstore_commits_total", cancellationToken);
            }

            return lanes;
        }

        private async Task<Measured> MeasureAsync(Func<string, int> replicas, bool hot, CancellationToken cancellationToken)
        {
            using var folder = new TemporaryFolder();
            await using var started = await StartAsync(folder.Path, replicas, NoSettings, cancellationToken);
            using var system = OrdersSystem.At(started);
            using var load = new LoadGenerator(LoadOptions.Callers, Names);
            var flow = new Flow(system, load, SettleWithin);
            await system.OfferAsync([.. Names, .. HotSku], cancellationToken);
            await flow.RunAsync(warmUp, null, open: 0, cancellationToken);
            var full = await flow.RunAsync(time, null, open: 0, cancellationToken);
            _rate ??= full.ShippedPerSecond > 0
                ? full.ShippedPerSecond / 2
                : throw new InvalidOperationException($"Of {full.Load.Accepted} accepted orders none was shipped within {time} (refused: {string.Join(", ", full.Load.Others)}): a longer --warm-up, or longer --seconds.");
            var steady = await flow.RunAsync(time, _rate, open: 0, cancellationToken);
            return new Measured(full, steady, hot ? await HotAsync(started, system, cancellationToken) : null);
        }

        private async Task<HotRun> HotAsync(StartedSystem started, OrdersSystem system, CancellationToken cancellationToken)
        {
            using var load = new LoadGenerator(LoadOptions.Callers, HotSku);
            var before = await ConflictsAsync();
            var run = await new Flow(system, load, SettleWithin).RunAsync(time, null, open: 0, cancellationToken);
            return new(run, await ConflictsAsync() - before);

            Task<double> ConflictsAsync() => started.CounterAsync("inventory", "eventstore_conflicts_total", cancellationToken);
        }

        private Task<StartedSystem> StartAsync(string folder, Func<string, int> replicas, Dictionary<string, string> settings, CancellationToken cancellationToken) =>
            StartedSystem.StartAsync(folder, components, app => app == "console" ? 0 : replicas(app), settings, cancellationToken);
    }
}
