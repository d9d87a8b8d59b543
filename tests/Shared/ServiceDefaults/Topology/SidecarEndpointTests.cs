using DaprOrders.ServiceDefaults.Topics;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.Topology;

public sealed class SidecarEndpointTests
{
    [Fact]
    public async Task A_service_tells_what_its_sidecar_has_subscribed()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        host.Sidecar.Subscribed.Add("letters");

        var subscription = Assert.Single((await host.GetAsync("/sidecar")).GetProperty("subscriptions").EnumerateArray());

        Assert.Equal("letters", subscription.GetProperty("topic").GetString());
    }
}
