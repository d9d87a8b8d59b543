using DaprOrders.Tests.Servers;

namespace DaprOrders.EndToEnd.Tests.Fires;

/// <summary>
/// The servers of each folder of components go, one after the other, while orders flow: what was acknowledged ends as it must, without anybody's help.
/// </summary>
[Collection(OneAtATime.Name)]
public sealed class ServerOutageTests
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Away = TimeSpan.FromSeconds(20);

    [Theory(Explicit = true)]
    [InlineData("redis")]
    [InlineData("nats")]
    [InlineData("rabbitmq")]
    [InlineData("kafka")]
    public async Task Given_broker_and_store_are_restarted_killed_and_away_for_a_while_then_every_order_ends_and_nobody_is_charged_twice(string components)
    {
        var cancel = TestContext.Current.CancellationToken;
        await using var servers = await FolderServers.StartAsync(components, cancel);
        await using var fire = await Fire.StartAsync(new OrdersSystem(await servers.InstallAsync(cancel)));

        await fire.UnderLoadAsync(async () =>
        {
            foreach (var server in new[] { servers.Broker!, servers.Store! }.Distinct())
            {
                await GoAsync(server.StopAsync, server, TimeSpan.Zero);
                await GoAsync(server.KillAsync, server, TimeSpan.Zero);
                await GoAsync(server.StopAsync, server, Away);
            }

            await Fire.LastAsync(Between);
        });

        await fire.AuditAsync();

        async Task GoAsync(Func<CancellationToken, Task> go, IServer server, TimeSpan away)
        {
            await Fire.LastAsync(Between);
            await go(cancel);
            fire.Faults++;
            await Fire.LastAsync(away);
            await server.StartAgainAsync(cancel);
        }
    }
}
