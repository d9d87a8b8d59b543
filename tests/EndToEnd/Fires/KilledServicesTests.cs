namespace DaprOrders.EndToEnd.Tests.Fires;

[Collection(OneAtATime.Name)]
public sealed class KilledServicesTests
{
    private const int Kills = 30;

    private static readonly TimeSpan BetweenKills = TimeSpan.FromSeconds(2);

    [Fact(Explicit = true)]
    public async Task Given_a_service_is_killed_every_two_seconds_for_a_minute_then_nothing_is_lost_and_nobody_is_charged_twice()
    {
        await using var fire = await Fire.StartAsync(new OrdersSystem());
        // The provider is killed as any service. None is killed again before it has lived for some time: the launcher gives an app up that
        // dies at once three times in a row.
        var recent = new Queue<string>();

        await fire.UnderLoadAsync(async () =>
        {
            for (var kill = 0; kill < Kills; kill++)
            {
                await Fire.LastAsync(BetweenKills);
                var candidates = Shop.Apps.Append("payment-provider").Except(recent).ToArray();
                var victim = candidates[fire.Random.Next(candidates.Length)];
                fire.Faults += fire.System.Kill(victim, fire.Random) ? 1 : 0;
                recent.Enqueue(victim);
                if (recent.Count > 3)
                    recent.Dequeue();
            }
        });

        Assert.True(fire.Faults > Kills / 2, $"only {fire.Faults} of {Kills} kills found their process");
        await fire.AuditAsync();
    }

    [Fact(Explicit = true)]
    public async Task Given_two_replicas_of_every_service_and_one_of_each_is_killed_then_the_others_carry_on()
    {
        await using var fire = await Fire.StartAsync(new OrdersSystem(new Installation(replicas: 2)));

        await fire.UnderLoadAsync(async () =>
        {
            await Fire.LastAsync(BetweenKills);
            foreach (var app in Shop.Apps)
            {
                fire.Faults += fire.System.Kill(app, fire.Random) ? 1 : 0;
                await Fire.LastAsync(BetweenKills);
            }
        });

        Assert.Equal(Shop.Apps.Count, fire.Faults);
        await fire.AuditAsync();
    }
}
