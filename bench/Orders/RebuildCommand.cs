using System.CommandLine;
using System.Globalization;
using DaprOrders.Bench.Measuring;

namespace DaprOrders.Bench.Orders;

/// <summary>How fast Reporting fills its read models from the publishers' event logs, of a running system that is at rest.</summary>
internal static class RebuildCommand
{
    private static readonly TimeSpan AtMost = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan EchoTime = TimeSpan.FromSeconds(3);

    private static readonly Option<int> Rounds = new("--rounds") { Description = "Rebuilds, one after the other; the first warms up", DefaultValueFactory = _ => 4 };

    public static Command Create()
    {
        var command = new Command("rebuild", "Has Reporting build its read models anew: events a second") { LoadOptions.Host, Rounds, AuditBehind.Wanted };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var system = OrdersSystem.At(parsed.GetValue(LoadOptions.Host)!);
            using var load = new LoadGenerator(LoadOptions.Callers, ["bench-1"]);
            using var echo = await EchoProcess.StartAsync(cancellationToken);

            Report.Machine();
            await load.RunAsync(echo.Address, EchoTime, null, cancellationToken);
            var echoed = (await load.RunAsync(echo.Address, EchoTime, null, cancellationToken)).PerSecond;
            var rows = new List<string[]>();
            for (var round = 1; round <= parsed.GetValue(Rounds); round++)
            {
                var (events, took) = await system.RebuildAsync(AtMost, cancellationToken);
                var perSecond = events / took.TotalSeconds;
                rows.Add([$"{round}", $"{events:N0}", Report.Figure(took.TotalSeconds), Report.Figure(perSecond), Report.Ratio(perSecond, echoed)]);
            }

            Report.Line(string.Create(CultureInfo.InvariantCulture, $"Bare echo before: {echoed:N0}/s."));
            Report.Table(["rebuild", "events", "s", "events/s", ": echo"], rows);
            return await AuditBehind.RunAsync(parsed, parsed.GetValue(LoadOptions.Host)!, [], cancellationToken);
        });
        return command;
    }
}
