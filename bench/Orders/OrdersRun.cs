using System.Diagnostics;
using System.Globalization;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <summary>Rounds of load on a running system, each beside a round on the echo, so that what else the machine does meets both alike.</summary>
internal sealed class OrdersRun(OrdersSystem system, LoadGenerator load, Uri? echo, TimeSpan time, double? rate)
{
    private static readonly TimeSpan WarmUp = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan SettleWithin = TimeSpan.FromMinutes(2);

    /// <returns>A sample of the orders that were accepted.</returns>
    public async Task<IReadOnlyList<Placed>> MeasureAsync(int rounds, bool untilShipped, CancellationToken cancellationToken)
    {
        if (echo is not null)
            await load.RunAsync(echo, WarmUp, rate, cancellationToken);
        await RoundAsync(WarmUp, cancellationToken);

        var echoed = new List<LoadRound>();
        var accepted = new List<Measured>();
        var bare = new Samples();
        using var disk = new BareCommits();
        for (var round = 0; round < rounds; round++)
        {
            if (echo is not null)
                echoed.Add(await load.RunAsync(echo, time, rate, cancellationToken));
            bare.Add(disk.Measure());
            accepted.Add(await RoundAsync(time, cancellationToken));
        }

        var perSecond = Samples.Of(accepted.Select(measured => measured.Load.PerSecond)).Median;
        var rows = new List<string[]>();
        if (echoed.Count > 0)
        {
            var baseline = Samples.Of(echoed.Select(round => round.PerSecond)).Median;
            rows.Add(Row("bare echo", echoed, baseline));
            rows.Add([.. Row("orders", [.. accepted.Select(measured => measured.Load)], perSecond)[..^1], Report.Ratio(perSecond, baseline)]);
        }
        else
        {
            rows.Add([.. Row("orders", [.. accepted.Select(measured => measured.Load)], perSecond)[..^1], "–"]);
        }

        Report.Table(["POST /orders", "201/s", "p50 ms", "p99 ms", "other answers", ": echo"], rows);
        Report.Line($"Bare SQLite commits of one caller beside the rounds: {Report.Figure(bare.Median)}/s");
        Report.Line();
        if (untilShipped)
            await ShowJourneysAsync(accepted, cancellationToken);
        return [.. accepted.SelectMany(measured => measured.Load.Sample)];
    }

    private static string[] Row(string what, IReadOnlyList<LoadRound> rounds, double perSecond)
    {
        var latency = new Samples();
        foreach (var round in rounds)
            latency.Add(round.Latency);
        var others = rounds.SelectMany(round => round.Others).GroupBy(other => other.Key).Select(g => $"{g.Sum(other => other.Value)} x {g.Key}");
        return [what, Report.Figure(perSecond), Report.Figure(latency.Median), Report.Figure(latency.Percentile(0.99)), string.Join(", ", others), "1 x"];
    }

    // The next round begins when the system has nothing left to do.
    private async Task<Measured> RoundAsync(TimeSpan duration, CancellationToken cancellationToken)
    {
        var before = await system.SummaryAsync(cancellationToken);
        var clock = Stopwatch.StartNew();
        var round = await load.RunAsync(system.Ordering, duration, rate, cancellationToken);
        if (before is null)
            return new Measured(round, clock.Elapsed, null, null);

        var after = (await system.UntilFinalAsync(before.Final + round.Accepted, SettleWithin, cancellationToken)).Last;
        return new Measured(round, clock.Elapsed, after.Of("shipped") - before.Of("shipped"), after.Final - before.Final);
    }

    private async Task ShowJourneysAsync(IReadOnlyList<Measured> rounds, CancellationToken cancellationToken)
    {
        if (rounds.Any(round => round.Shipped is null))
            throw new InvalidOperationException("Reporting does not answer: without it nobody counts what is shipped (--reporting tells where it is).");

        var rows = new List<string[]>();
        foreach (var round in rounds)
        {
            var journeys = await system.JourneysAsync(round.Load.Sample, cancellationToken);
            rows.Add([
                round.Load.Accepted.ToString(CultureInfo.InvariantCulture),
                $"{round.Shipped}",
                $"{round.Final - round.Shipped}",
                Report.Figure(round.Took.TotalSeconds),
                Report.Figure(round.Shipped!.Value / round.Took.TotalSeconds),
                Report.Figure(journeys.Median),
                Report.Figure(journeys.Percentile(0.99)),
            ]);
        }

        Report.Line("From the first POST until every order of the round is shipped; the journey of one order by a sample of every 20th.");
        Report.Table(["accepted", "shipped", "cancelled", "took s", "shipped/s", "journey p50 ms", "journey p99 ms"], rows);
    }

    /// <param name="Took">Until every order had ended, or for as long as was waited.</param>
    private sealed record Measured(LoadRound Load, TimeSpan Took, long? Shipped, long? Final);
}
