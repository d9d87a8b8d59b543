using System.Globalization;
using DaprOrders.Demo;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>Shows how orders of every kind travel through the running system, or through one that is started for it, and ends.</summary>
internal static class DemoCommand
{
    private const int IdleOrders = 5;

    public static Task<int> RunAsync(LaunchOptions options, LaunchConsole console, CancellationToken cancellationToken) =>
        Launch.GuardAsync(console, async () =>
        {
            var plan = LaunchPlan.Read(options);
            if (ProcessRecord.IsHeld(plan.DataFolder))
            {
                console.Line($"using the system that already runs with {plan.DataFolder}");
                await ShowAsync(plan.RunFile, null, console, cancellationToken);
            }
            else
            {
                await Launch.StartAndAsync(options, console, (system, started) => ShowAsync(started.RunFile, system, console, cancellationToken), cancellationToken);
            }

            return 0;
        }, cancellationToken);

    private static async Task ShowAsync(RunFile runFile, RunningSystem? system, LaunchConsole console, CancellationToken cancellationToken)
    {
        using var shop = new ShopClient(DaprAddress(runFile, "ordering"), DaprAddress(runFile, "inventory"));
        var orders = new OrdersOfEveryKind(shop);
        await orders.StockAsync(cancellationToken);

        TimeSpan? toFirstOrder = null;
        await foreach (var travelled in orders.PlaceAsync(() => toFirstOrder ??= system?.SinceBegin, cancellationToken))
        {
            console.Line();
            console.Good($"{travelled.Title}:", $"order {travelled.Order.OrderId} is {travelled.Order.Outcome} after {travelled.Took.TotalMilliseconds:0} ms");
            foreach (var e in travelled.Events)
            {
                var since = (e.OccurredAt - travelled.Events[0].OccurredAt).TotalMilliseconds;
                console.Line(string.Create(CultureInfo.InvariantCulture, $"  {e.OccurredAt.ToLocalTime():HH:mm:ss.fff}  +{since,5:0} ms  {e.Version}  {e.Type}"));
            }
        }

        var median = await orders.MedianToShippedAsync(IdleOrders, cancellationToken);
        console.Line();
        if (toFirstOrder is { } start)
            console.Line(string.Create(CultureInfo.InvariantCulture, $"start to first order accepted: {start.TotalSeconds:0.0} s"));
        console.Line(string.Create(CultureInfo.InvariantCulture, $"POST to shipped, idle system:  {median.TotalMilliseconds:0} ms (median of {IdleOrders})"));
        console.Line();
    }

    private static Uri DaprAddress(RunFile runFile, string appId) =>
        runFile.DaprAddress(appId) ?? throw new LaunchException($"The demo needs an app \"{appId}\" with a daprHTTPPort in {runFile.Path}.");
}
