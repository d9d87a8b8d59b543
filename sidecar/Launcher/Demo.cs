using System.Globalization;

namespace DaprOrders.Sidecar.Launcher;

/// <summary>Places orders of every kind over the public HTTP API, shows how each travelled, and ends.</summary>
internal static class Demo
{
    private const string InStock = "demo-tea";
    private const string NeverReceived = "demo-rare";
    private const int IdleOrders = 5;

    private static readonly (string Title, string PaymentMethod, string Sku, string Ends)[] Kinds =
    [
        ("paid", "pm_card_ok", InStock, "shipped"),
        ("payment declined", "pm_card_declined", InStock, "cancelled (paymentDeclined)"),
        ("out of stock", "pm_card_ok", NeverReceived, "cancelled (outOfStock)"),
    ];

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
        await shop.OfferAsync(InStock, "Demo tea", 4.20m, cancellationToken);
        await shop.OfferAsync(NeverReceived, "Demo rarity", 99m, cancellationToken);
        await shop.ReceiveAsync(InStock, 100, cancellationToken);

        TimeSpan? toFirstOrder = null;
        foreach (var (title, paymentMethod, sku, ends) in Kinds)
        {
            var placed = await shop.PlaceAsync(sku, paymentMethod, cancellationToken);
            toFirstOrder ??= system?.SinceBegin;
            var (order, took) = await shop.WaitForEndAsync(placed, cancellationToken);
            console.Line();
            console.Good($"{title}:", $"order {order.OrderId} is {order.Outcome} after {took.TotalMilliseconds:0} ms");
            await ShowTimelineAsync(shop, order.OrderId, console, cancellationToken);
            if (order.Outcome != ends)
                throw new LaunchException($"The order \"{title}\" was expected to end as {ends}, and is {order.Outcome}.");
        }

        var idle = new List<double>();
        for (var i = 0; i < IdleOrders; i++)
        {
            var (order, took) = await shop.WaitForEndAsync(await shop.PlaceAsync(InStock, "pm_card_ok", cancellationToken), cancellationToken);
            if (order.Status != "shipped")
                throw new LaunchException($"Order {order.OrderId} was expected to be shipped, and is {order.Outcome}.");
            idle.Add(took.TotalMilliseconds);
        }

        console.Line();
        if (toFirstOrder is { } start)
            console.Line(string.Create(CultureInfo.InvariantCulture, $"start to first order accepted: {start.TotalSeconds:0.0} s"));
        console.Line(string.Create(CultureInfo.InvariantCulture, $"POST to shipped, idle system:  {idle.Order().ElementAt(IdleOrders / 2):0} ms (median of {IdleOrders})"));
        console.Line();
    }

    private static async Task ShowTimelineAsync(ShopClient shop, string orderId, LaunchConsole console, CancellationToken cancellationToken)
    {
        var events = await shop.EventsAsync(orderId, cancellationToken);
        foreach (var e in events)
        {
            var since = (e.OccurredAt - events[0].OccurredAt).TotalMilliseconds;
            console.Line(string.Create(CultureInfo.InvariantCulture, $"  {e.OccurredAt.ToLocalTime():HH:mm:ss.fff}  +{since,5:0} ms  {e.Version}  {e.Type}"));
        }
    }

    private static Uri DaprAddress(RunFile runFile, string appId) =>
        SampleStock.Address(runFile, appId) ?? throw new LaunchException($"The demo needs an app \"{appId}\" with a daprHTTPPort in {runFile.Path}.");
}
