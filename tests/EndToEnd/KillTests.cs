namespace DaprOrders.EndToEnd.Tests;

/// <summary>kill -9 of every process while orders are on their way; then the same system is started again on its old state.</summary>
public sealed class KillTests
{
    private const int Rounds = 2;
    private const int OrdersPerRound = 40;
    private const int Stock = 50;

    [Theory]
    [InlineData("local")]
    [InlineData("redis")]
    [InlineData("nats")]
    [InlineData("rabbitmq")]
    [InlineData("kafka")]
    public async Task Given_everything_is_killed_in_the_middle_then_every_order_goes_on_and_nobody_is_charged_twice(string components)
    {
        await using var servers = await FolderServers.StartAsync(components, TestContext.Current.CancellationToken);
        await using var system = new OrdersSystem(await servers.InstallAsync(TestContext.Current.CancellationToken));
        await system.InitializeAsync();
        var sku = await system.Shop.StockAsync(Stock);
        var orders = new List<string>();
        for (var round = 0; round < Rounds; round++)
        {
            var requests = Enumerable.Range(0, OrdersPerRound).Select(i => new Request(
                Guid.NewGuid().ToString("N"), i % 5 == 0 ? "pm_card_declined" : "pm_card_ok", $"c-{i % 3}")).ToArray();
            var answered = await PlaceUntilKilledAsync(system, sku, requests);
            await system.StartAsync();

            // What got no answer may exist or not: the client sends it again under its key, as it should.
            foreach (var request in requests)
            {
                var id = await PlaceAsync(system.Shop, sku, request);
                Assert.True(!answered.TryGetValue(request, out var before) || before == id, $"{before} was acknowledged, its key now leads to {id}");
                orders.Add(id);
            }
        }

        await system.AuditAsync(orders, new Dictionary<string, int> { [sku] = Stock });
    }

    private static Task<string> PlaceAsync(Shop shop, string sku, Request request) =>
        shop.OrderAsync(sku, 1, request.PaymentMethod, request.Customer, request.Key);

    // Kills as soon as half of the orders are acknowledged: some of those are on their way then, others have not been accepted.
    private static async Task<Dictionary<Request, string>> PlaceUntilKilledAsync(OrdersSystem system, string sku, Request[] requests)
    {
        var answered = new Dictionary<Request, string>();
        var half = new TaskCompletionSource();
        var placing = Task.WhenAll(requests.Select(async request =>
        {
            try
            {
                var id = await PlaceAsync(system.Shop, sku, request);
                lock (answered)
                {
                    answered.Add(request, id);
                    if (answered.Count == requests.Length / 2)
                    {
                        half.SetResult();
                    }
                }
            }
            catch (HttpRequestException)
            {
                // Killed before the answer.
            }
        }));
        await Task.WhenAny(half.Task, placing);
        await system.KillAsync();
        await placing;
        return answered;
    }

    private sealed record Request(string Key, string PaymentMethod, string Customer);
}
