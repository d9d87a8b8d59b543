namespace DaprOrders.EndToEnd.Tests.Fires;

[Collection(OneAtATime.Name)]
public sealed class BadBrokerTests
{
    private static readonly TimeSpan Under = TimeSpan.FromSeconds(20);

    [Fact(Explicit = true)]
    public async Task Given_a_broker_that_loses_doubles_delays_and_reorders_messages_then_every_order_ends_right_nevertheless()
    {
        var installation = new Installation();
        var deliveries = new List<LossyDelivery>();
        try
        {
            foreach (var app in Shop.Apps)
            {
                var delivery = LossyDelivery.Start(installation.PortOf(app, "appPort"), seed: deliveries.Count);
                installation.StandBefore(app, delivery.Port);
                deliveries.Add(delivery);
            }

            await using var fire = await Fire.StartAsync(new OrdersSystem(installation));
            await fire.UnderLoadAsync(() => Fire.LastAsync(Under));

            var lost = deliveries.Sum(delivery => delivery.Lost);
            Assert.All(deliveries, delivery => Assert.True(delivery.Lost > 0, "a service of which nothing was lost"));
            fire.Faults = lost + deliveries.Sum(delivery => delivery.Doubled + delivery.Delayed);
            await fire.AuditAsync();
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"{lost} messages lost, {deliveries.Sum(delivery => delivery.Doubled)} doubled, {deliveries.Sum(delivery => delivery.Delayed)} delayed");
        }
        finally
        {
            foreach (var delivery in deliveries)
                await delivery.DisposeAsync();
        }
    }
}
