using System.Net;

namespace DaprOrders.Sidecar.Tests.Hosting;

public sealed class SidecarStart
{
    [Fact]
    public async Task A_sidecar_without_an_application_is_ready_at_once()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        await dapr.Ready.WaitAsync(TestContext.Current.CancellationToken);
        using var client = Sidecars.Http(dapr["one"]);

        using var health = await client.GetAsync(new Uri(client.BaseAddress + "/v1.0//healthz/"), TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.NoContent, health.StatusCode);
    }
}
