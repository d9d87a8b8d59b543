using System.Net;

namespace DaprOrders.EndToEnd.Tests.Fires;

[Collection(OneAtATime.Name)]
public sealed class RebuildTests
{
    private const int Rebuilds = 3;

    private static readonly TimeSpan Before = TimeSpan.FromSeconds(5);

    [Fact(Explicit = true)]
    public async Task Given_the_reports_are_rebuilt_while_events_flow_then_they_equal_a_fold_of_all_streams()
    {
        await using var fire = await Fire.StartAsync(new OrdersSystem());

        await fire.UnderLoadAsync(async () =>
        {
            await Fire.LastAsync(Before);
            for (var rebuild = 0; rebuild < Rebuilds; rebuild++)
            {
                var serving = await ServingAsync(fire.Shop);
                using var answer = await fire.Shop.SendAsync(HttpMethod.Post, "reporting", "projections/rebuild");
                Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
                // Its consumer is killed in the middle of it, once.
                if (rebuild == 1)
                    fire.Faults += fire.System.Kill("reporting", fire.Random) ? 1 : 0;
                await Until.Async(() => ServingAsync(fire.Shop), version => version > serving, "the rebuilt version to serve");
                fire.Faults++;
            }
        });

        await fire.AuditAsync();
    }

    /// <summary>0 while Reporting is away.</summary>
    private static async Task<long> ServingAsync(Shop shop)
    {
        using var answer = await shop.SendAsync(HttpMethod.Get, "reporting", "projections");
        return answer.IsSuccessStatusCode
            ? (await Shop.ReadAsync(answer, HttpStatusCode.OK))["serving"]!["version"]!.GetValue<long>()
            : 0;
    }
}
