using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <summary>The whole flow under a steady load: what is shipped, how long an order takes, and what it costs.</summary>
internal static class FlowCommand
{
    private static readonly double[] Parts = [0.75, 0.5, 0.25];
    private static readonly TimeSpan EchoTime = TimeSpan.FromSeconds(3);

    private static readonly Option<double[]> Rates = new("--rate")
    {
        Description = "Orders per second, sent when they are due whatever is answered; may be repeated. Without it as many as are answered, and then 75, 50 and 25 % of what was shipped",
    };

    private static readonly Option<double> Seconds = new("--seconds") { Description = "Length of each load", DefaultValueFactory = _ => 60 };
    private static readonly Option<double> WarmUp = new("--warm-up") { Description = "Seconds of load before the first", DefaultValueFactory = _ => 30 };
    private static readonly Option<double> Settle = new("--settle") { Description = "Seconds in which what was accepted must have ended", DefaultValueFactory = _ => 300 };
    private static readonly Option<long> Open = new("--open") { Description = "Orders that are underway when a load begins; Ordering must allow that many (Ordering__MostOrdersUnderway)" };
    private static readonly Option<FileInfo?> Plot = new("--plot") { Description = "An SVG file of rate against the percentiles" };

    public static Command Create()
    {
        var command = new Command("flow", "Drives POST /orders at a rate, and follows the orders until they are shipped") { LoadOptions.Host, Rates, Seconds, WarmUp, Settle, LoadOptions.Skus, Open, Plot, AuditBehind.Wanted };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            string[] skus = LoadOptions.SkuNames(parsed.GetValue(LoadOptions.Skus));
            using var system = OrdersSystem.At(parsed.GetValue(LoadOptions.Host)!);
            using var load = new LoadGenerator(LoadOptions.Callers, skus);
            using var echo = await EchoProcess.StartAsync(cancellationToken);
            var flow = new Flow(system, load, TimeSpan.FromSeconds(parsed.GetValue(Settle)));
            var time = TimeSpan.FromSeconds(parsed.GetValue(Seconds));

            Report.Machine();
            await system.OfferAsync(skus, cancellationToken);
            await load.RunAsync(echo.Address, EchoTime, null, cancellationToken);
            await flow.RunAsync(TimeSpan.FromSeconds(parsed.GetValue(WarmUp)), null, open: 0, cancellationToken);

            var echoes = new List<double>();
            var runs = new List<FlowRun>();
            if (parsed.GetValue(Rates) is { Length: > 0 } rates)
            {
                foreach (var rate in rates)
                    await MeasureAsync(rate);
            }
            else
            {
                await MeasureAsync(null);
                foreach (var part in Parts)
                    await MeasureAsync(part * runs[0].ShippedPerSecond);
            }

            Show(runs, Samples.Of(echoes).Median);
            if (parsed.GetValue(Plot) is { } file)
                await File.WriteAllTextAsync(file.FullName, RatePlot.Svg(runs), cancellationToken);
            return await AuditBehind.RunAsync(parsed, parsed.GetValue(LoadOptions.Host)!, runs.SelectMany(run => run.Load.Sample), cancellationToken);

            async Task MeasureAsync(double? rate)
            {
                echoes.Add((await load.RunAsync(echo.Address, EchoTime, null, cancellationToken)).PerSecond);
                runs.Add(await flow.RunAsync(time, rate, parsed.GetValue(Open), cancellationToken));
            }
        });
        return command;
    }

    private static void Show(List<FlowRun> runs, double echo)
    {
        Report.Line(string.Create(CultureInfo.InvariantCulture, $"Bare echo beside the loads: {echo:N0}/s. POST to shipped by every 20th order, from when it was due."));
        Report.Table(
            ["offered /s", "accepted", "others", "shipped/s", ": echo", "p50 ms", "p90 ms", "p99 ms", "open at end", "ended after s", "CPU ms", "KB written"],
            runs.Select(run => new[]
            {
                run.Offered,
                $"{run.Load.Accepted:N0}",
                string.Join(", ", run.Load.Others.Select(other => $"{other.Value:N0} x {other.Key}")),
                Report.Figure(run.ShippedPerSecond),
                (run.ShippedPerSecond / echo).ToString("0.000", CultureInfo.InvariantCulture),
                Report.Figure(run.Journeys.Median),
                Report.Figure(run.Journeys.Percentile(0.9)),
                run.IsAtRest ? Report.Figure(run.Journeys.Percentile(0.99)) : "–",
                $"{run.OpenAtEnd:N0}",
                run.IsAtRest ? Report.Figure(run.Rest.TotalSeconds) : "not",
                Report.Figure(run.Costs.Processor.TotalMilliseconds / run.Ended),
                Report.Figure(run.Costs.Written / 1024.0 / run.Ended),
            }));
        Report.Line("Processor time for each order, ms:");
        Report.Table(
            ["offered /s", .. runs[0].Costs.Names],
            runs.Select(run => (string[])[
                run.Offered,
                .. runs[0].Costs.Names.Select(name => Report.Figure(run.Costs.ProcessorOf(name).TotalMilliseconds / run.Ended))]));
    }
}

/// <param name="Rate">Null: as many as were answered.</param>
/// <param name="ShippedPerSecond">While the load lasted.</param>
/// <param name="Ended">During the load and the rest.</param>
/// <param name="Rest">From its end until all that was accepted had ended.</param>
/// <param name="Costs">Of the load and the rest.</param>
internal sealed record FlowRun(
    double? Rate, LoadRound Load, double ShippedPerSecond, long OpenAtEnd, long Ended, TimeSpan Rest, bool IsAtRest, Samples Journeys, ProcessCosts Costs)
{
    public string Offered => Rate is { } rate ? Report.Figure(rate) : "all";
}

internal sealed class Flow(OrdersSystem system, LoadGenerator load, TimeSpan settleWithin)
{
    private static readonly TimeSpan FillFor = TimeSpan.FromSeconds(2);

    /// <param name="open">Orders that are underway when the load begins.</param>
    public async Task<FlowRun> RunAsync(TimeSpan time, double? rate, long open, CancellationToken cancellationToken)
    {
        var filled = await FillAsync(open, cancellationToken);
        var (before, costs, clock) = (await SummaryAsync(cancellationToken), ProcessCosts.Read(), Stopwatch.StartNew());
        var round = await load.RunAsync(system.OrderingReplicas, time, rate, cancellationToken);
        var (loaded, end) = (clock.Elapsed, await SummaryAsync(cancellationToken));
        var final = filled + round.Accepted;
        var (last, rest) = await system.UntilFinalAsync(final, settleWithin, cancellationToken);
        var used = ProcessCosts.Read().Since(costs);
        return new FlowRun(
            rate, round, (end.Of("shipped") - before.Of("shipped")) / loaded.TotalSeconds, final - end.Final, last.Final - before.Final, rest,
            last.Final >= final, await system.JourneysAsync(round.Sample, cancellationToken), used);
    }

    /// <returns>How many orders will have ended when those underway have.</returns>
    private async Task<long> FillAsync(long open, CancellationToken cancellationToken)
    {
        var (ended, clock) = ((await SummaryAsync(cancellationToken)).Final, Stopwatch.StartNew());
        var final = ended;
        while (final - ended < open)
        {
            if (clock.Elapsed > settleWithin)
                throw new InvalidOperationException($"Expected {open} orders underway within {settleWithin}, but there are {final - ended}: start Ordering with a larger Ordering__MostOrdersUnderway.");
            final += (await load.RunAsync(system.OrderingReplicas, FillFor, null, cancellationToken)).Accepted;
            ended = (await SummaryAsync(cancellationToken)).Final;
        }

        return final;
    }

    private async Task<Summary> SummaryAsync(CancellationToken cancellationToken) =>
        await system.SummaryAsync(cancellationToken) ?? throw new InvalidOperationException("Reporting does not answer at its port of dapr.yaml: without it nobody counts what is shipped.");
}
