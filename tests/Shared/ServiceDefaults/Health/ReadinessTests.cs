using System.Net;
using Dapr;
using DaprOrders.ServiceDefaults.Topics;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.Health;

public sealed class ReadinessTests
{
    [Fact]
    public async Task A_service_is_ready_when_sidecar_subscriptions_and_store_are()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => Task.CompletedTask));
        host.Sidecar.Subscribed.Add("letters");

        Assert.Equal("Healthy", (await host.GetAsync("/healthz/ready")).GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_topic_that_is_not_subscribed_is_named()
    {
        await using var host = await StartAsync(app =>
        {
            app.MapTopic("letters", "post", (_, _) => Task.CompletedTask);
            app.MapWakeUp("parcels", "post", () => { }, _ => Task.CompletedTask);
        });
        host.Sidecar.Subscribed.Add("letters");

        var report = await host.GetAsync("/healthz/ready", HttpStatusCode.ServiceUnavailable);

        var reason = report.GetProperty("checks").GetProperty("subscriptions").GetProperty("reason").GetString();
        Assert.StartsWith("The sidecar has no subscription of parcels on pubsub for letters", reason);
    }

    [Fact]
    public async Task While_the_store_is_away_deliveries_are_to_wait_and_the_process_is_alive()
    {
        await using var host = await StartAsync(_ => { });
        await host.GetAsync("/healthz/deliveries");
        host.State.IsDown = true;

        await host.GetAsync("/healthz/deliveries", HttpStatusCode.ServiceUnavailable);
        await host.GetAsync("/healthz/live");

        host.State.IsDown = false;
        await host.GetAsync("/healthz/deliveries");
    }

    [Fact]
    public async Task While_the_store_can_be_read_and_not_written_deliveries_are_to_wait()
    {
        await using var host = await StartAsync(app => app.MapTopic("letters", "post", (_, _) => throw new DaprException("The disk is full.")));
        host.State.IsReadOnly = true;
        Assert.Equal("RETRY", await host.DeliverAsync("letters", CloudEvent("a", 1)));

        await host.GetAsync("/healthz/deliveries", HttpStatusCode.ServiceUnavailable);

        host.State.IsReadOnly = false;
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while ((await host.Http.GetAsync("/healthz/deliveries", TestContext.Current.CancellationToken)).StatusCode != HttpStatusCode.OK)
        {
            host.Time.Advance(TimeSpan.FromSeconds(1));
            await poll.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task Without_sidecar_and_store_a_service_is_alive_but_not_ready()
    {
        await using var host = await StartAsync(_ => { });
        host.State.IsDown = true;

        await host.GetAsync("/healthz/live");
        var checks = (await host.GetAsync("/healthz/ready", HttpStatusCode.ServiceUnavailable)).GetProperty("checks");
        Assert.Equal("Unhealthy", checks.GetProperty("sidecar").GetProperty("status").GetString());
        Assert.Equal("Unhealthy", checks.GetProperty("store").GetProperty("status").GetString());
    }
}
