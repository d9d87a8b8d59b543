using System.Collections.Concurrent;
using System.Net;

namespace DaprOrders.EndToEnd.Tests;

/// <summary>More orders at once than the flow can take: what is accepted still ends, what is refused leaves nothing, and who comes again is served.</summary>
public sealed class FloodTests
{
    private const int MostUnderway = 20;
    private const int Orders = 300;

    [Fact]
    public async Task Given_a_flood_of_orders_then_those_too_many_are_told_when_to_come_again_and_every_accepted_one_is_shipped()
    {
        using var installation = new Installation();
        installation.Set("ordering", "Ordering__MostOrdersUnderway", $"{MostUnderway}");
        await using var system = await OrdersSystem.StartAsync(installation);
        var sku = await system.Shop.StockAsync(Orders);
        var (accepted, refused) = (new ConcurrentBag<string>(), new ConcurrentBag<int>());

        // Those that are refused leave no order, no reservation and no charge: the audit knows of none.
        await Task.WhenAll(Enumerable.Range(0, Orders).Select(order => PlaceAsync(order)));
        Assert.NotEmpty(refused);
        Assert.True(accepted.Count >= MostUnderway, $"{accepted.Count} were accepted, {MostUnderway} may be underway at once");
        await system.AuditAsync([.. accepted], new Dictionary<string, int> { [sku] = Orders });

        // What was refused comes again, as many at a time as there is room for, under the key that it had.
        foreach (var few in refused.Order().Take(MostUnderway).Chunk(MostUnderway / 2))
        {
            var before = accepted.ToHashSet();
            await Task.WhenAll(few.Select(PlaceAsync));
            Assert.Equal(before.Count + few.Length, accepted.Count);
            await Task.WhenAll(accepted.Except(before).Select(system.Shop.FinalAsync));
        }

        await system.AuditAsync([.. accepted], new Dictionary<string, int> { [sku] = Orders });

        async Task PlaceAsync(int order)
        {
            using var answer = await system.Shop.PlaceAsync(sku, 1, "pm_card_ok", $"c-{order % 7}", ("Idempotency-Key", $"flood-{order}"));
            if (answer.StatusCode == HttpStatusCode.ServiceUnavailable)
            {
                Assert.NotNull(answer.Headers.RetryAfter?.Delta);
                Assert.EndsWith("overloaded", (await Shop.ReadAsync(answer, HttpStatusCode.ServiceUnavailable))["type"]!.GetValue<string>(), StringComparison.Ordinal);
                refused.Add(order);
            }
            else
            {
                accepted.Add((await Shop.ReadAsync(answer, HttpStatusCode.Created))["orderId"]!.GetValue<string>());
            }
        }
    }
}
