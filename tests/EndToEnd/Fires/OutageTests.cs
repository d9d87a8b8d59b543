using DaprOrders.Tests.Servers;

[assembly: AssemblyFixture(typeof(StoreServers))]

namespace DaprOrders.EndToEnd.Tests.Fires;

/// <summary>What the services stand on is away for a while.</summary>
[Collection(OneAtATime.Name)]
public sealed class OutageTests(StoreServers servers)
{
    private static readonly TimeSpan Before = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Away = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan ShortDeadline = TimeSpan.FromSeconds(4);

    [Fact(Explicit = true)]
    public async Task Given_the_payment_provider_is_away_then_orders_wait_and_are_charged_once_when_it_is_back()
    {
        var installation = new Installation();
        await using var cable = ToPaymentProvider(installation);
        await using var fire = await Fire.StartAsync(new OrdersSystem(installation));

        await fire.UnderLoadAsync(() => CutAsync(fire, cable, Away));

        await fire.AuditAsync();
    }

    [Fact(Explicit = true)]
    public async Task Given_a_deadline_shorter_than_the_providers_absence_then_orders_time_out_and_whoever_was_charged_too_late_is_refunded()
    {
        var installation = new Installation();
        installation.Set("ordering", "Ordering__PaymentDeadline", $"{ShortDeadline}");
        await using var cable = ToPaymentProvider(installation);
        await using var fire = await Fire.StartAsync(new OrdersSystem(installation));

        await fire.UnderLoadAsync(() => CutAsync(fire, cable, 3 * ShortDeadline));

        await fire.AuditAsync();
        var timeouts = (await fire.OrdersByReasonAsync())["paymentTimeout"].Count();
        Assert.True(timeouts > 0, "no order was cancelled by its deadline");
        TestContext.Current.TestOutputHelper?.WriteLine($"{timeouts} orders timed out");
    }

    [Theory(Explicit = true)]
    [InlineData("redis")]
    [InlineData("postgresql")]
    public async Task Given_the_state_store_is_away_then_orders_are_refused_or_wait_and_nothing_becomes_a_dead_letter(string store)
    {
        ServerProgram.Require(StoreServers.Missing(store));
        var cancel = TestContext.Current.CancellationToken;
        await using var cable = new Cable(await servers.PortOfAsync(store));
        var metadata = store == "redis"
            ? $"    - name: redisHost\n      value: {RedisServer.Host}:{cable.Port}\n    - name: redisDB\n      value: \"{(await servers.RedisAsync()).NewDatabase()}\"\n"
            : $"    - name: connectionString\n      value: {(await servers.PostgresAsync()).ConnectionString(await (await servers.PostgresAsync()).NewDatabaseAsync(cancel), cable.Port)}\n";
        var installation = new Installation();
        installation.Replace("statestore.yaml", _ => $"""
            apiVersion: dapr.io/v1alpha1
            kind: Component
            metadata:
              name: statestore
            spec:
              type: state.{store}
              version: {(store == "redis" ? "v1" : "v2")}
              metadata:
                - name: actorStateStore
                  value: "true"

            """.ReplaceLineEndings("\n") + metadata);
        await using var fire = await Fire.StartAsync(new OrdersSystem(installation));

        await fire.UnderLoadAsync(() => CutAsync(fire, cable, Away));

        await fire.AuditAsync();
    }

    private static Cable ToPaymentProvider(Installation installation)
    {
        var cable = new Cable(installation.PaymentProvider.Port);
        installation.StandBeforePaymentProvider(cable.Port);
        return cable;
    }

    private static async Task CutAsync(Fire fire, Cable cable, TimeSpan away)
    {
        await Fire.LastAsync(Before);
        cable.Cut();
        fire.Faults++;
        await Fire.LastAsync(away);
        cable.Mend();
        await Fire.LastAsync(Before);
    }
}
