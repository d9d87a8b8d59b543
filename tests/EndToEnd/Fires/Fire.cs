using System.Text.Json.Nodes;

namespace DaprOrders.EndToEnd.Tests.Fires;

/// <summary>Fires are heavy: one at a time, and after everything else.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public static class OneAtATime
{
    public const string Name = "Fires";
}

/// <summary>A system of its own under load, something that goes wrong meanwhile, and the audit at the end.</summary>
internal sealed class Fire : IAsyncDisposable
{
    private const int Buyers = 4;
    private const int Plenty = 1_000_000;
    private const int Few = 40;

    private static readonly TimeSpan BetweenOrders = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<string, int> _received = [];

    private Fire(OrdersSystem system, int seed) => (System, Random) = (system, new Random(seed));

    public OrdersSystem System { get; }

    public Shop Shop => System.Shop;

    public Random Random { get; }

    public Load Load { get; private set; } = null!;

    /// <summary>What was done to the system so far.</summary>
    public int Faults { get; set; }

    public static async Task<Fire> StartAsync(OrdersSystem system)
    {
        var seed = global::System.Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var fire = new Fire(system, seed);
        try
        {
            await system.InitializeAsync();
            // Of most there is plenty; of two there is soon too little, so that orders are refused half-way, too.
            foreach (var quantity in new[] { Plenty, Plenty, Plenty, Plenty, Few, Few })
                fire._received[await fire.Shop.StockAsync(quantity)] = quantity;
            fire.Load = new(fire.Shop, [.. fire._received.Keys], seed);
            return fire;
        }
        catch
        {
            await fire.DisposeAsync();
            throw;
        }
    }

    /// <summary>Buyers order from before the first fault until after the last.</summary>
    public async Task UnderLoadAsync(Func<Task> faults)
    {
        using var stop = new CancellationTokenSource();
        var load = Load.RunAsync(Buyers, BetweenOrders, stop.Token);
        try
        {
            await faults();
        }
        catch
        {
            // What the buyers say to it matters less than why the fault could not be done.
            await stop.CancelAsync();
            await load.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }

        await stop.CancelAsync();
        await load;
    }

    /// <summary>A fault lasts so long; or the load so long before it.</summary>
    public static Task LastAsync(TimeSpan time) => Task.Delay(time, TestContext.Current.CancellationToken);

    public async Task AuditAsync()
    {
        var report = await System.AuditAsync(Load.Acknowledged, _received);
        var summary = await Shop.GetAsync("reporting", "summary");
        TestContext.Current.TestOutputHelper?.WriteLine(
            $"{Faults} faults, {Load.Acknowledged.Count} orders acknowledged, {Load.SentAgain} sent again; at rest and audited after {report.Took.TotalSeconds:0} s: {summary["byStatus"]!.ToJsonString()}");
    }

    /// <summary>By the reason of their cancellation, the orders of the load.</summary>
    public async Task<ILookup<string?, JsonNode>> OrdersByReasonAsync()
    {
        var orders = await Task.WhenAll(Load.Acknowledged.Select(id => Shop.OrderAsync(id)));
        return orders.ToLookup(order => order["cancellation"]?["reason"]?.GetValue<string>());
    }

    public ValueTask DisposeAsync() => System.DisposeAsync();
}
