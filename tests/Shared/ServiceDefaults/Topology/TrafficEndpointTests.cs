using System.Text.Json;
using DaprOrders.ServiceDefaults.Topics;
using static DaprOrders.ServiceDefaults.Tests.ServiceHost;

namespace DaprOrders.ServiceDefaults.Tests.Topology;

public sealed class TrafficEndpointTests
{
    [Fact]
    public async Task A_replica_tells_the_calls_that_its_sidecar_has_counted_by_the_other_side()
    {
        await using var host = await StartAsync(_ => { });
        // As daprd 1.18.1 writes it.
        host.Sidecar.Metrics = """
            # HELP dapr_runtime_service_invocation_req_recv_total The number of requests received via service invocation.
            # TYPE dapr_runtime_service_invocation_req_recv_total counter
            dapr_runtime_service_invocation_req_recv_total{app_id="letters",src_app_id="console"} 7
            # HELP dapr_runtime_service_invocation_req_sent_total The number of requests sent via service invocation.
            # TYPE dapr_runtime_service_invocation_req_sent_total counter
            dapr_runtime_service_invocation_req_sent_total{app_id="letters",dst_app_id="post",type="streaming"} 2
            dapr_runtime_service_invocation_req_sent_total{app_id="letters",dst_app_id="post",type="unary"} 1.5e+06
            dapr_runtime_service_invocation_res_recv_total{app_id="letters",src_app_id="post",status="200",type="unary"} 9
            """;

        var traffic = await host.GetAsync("/traffic");

        Assert.Equal("""{"called":{"post":1500002},"calledBy":{"console":7}}""", traffic.GetProperty("calls").GetRawText());
        Assert.Equal(JsonValueKind.Null, traffic.GetProperty("silent").ValueKind);
        Assert.NotEqual("", traffic.GetProperty("instance").GetString());
    }

    [Fact]
    public async Task Where_nobody_was_called_yet_there_are_no_calls_and_that_is_told_apart_from_a_sidecar_without_metrics()
    {
        await using var host = await StartAsync(_ => { });
        host.Sidecar.Metrics = "# HELP dapr_runtime_component_loaded Components\ndapr_runtime_component_loaded{app_id=\"letters\"} 3\n";
        Assert.Equal("""{"called":{},"calledBy":{}}""", (await host.GetAsync("/traffic")).GetProperty("calls").GetRawText());

        foreach (var silence in new[] { "", "# HELP go_goroutines Of something else\ngo_goroutines 3\n", null })
        {
            host.Sidecar.Metrics = silence;

            var traffic = await host.GetAsync("/traffic");

            Assert.Equal(JsonValueKind.Null, traffic.GetProperty("calls").ValueKind);
            Assert.StartsWith("The sidecar of letters does not tell its calls: ", traffic.GetProperty("silent").GetString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Events_are_counted_one_by_one_whatever_was_answered()
    {
        var topic = $"letters-{Guid.NewGuid():N}";
        await using var host = await StartAsync(app => app.MapTopic(
            topic, "post", (events, _) => events.Any(one => one.Recorded.Stream == "letter-2") ? throw new InvalidOperationException("Not now.") : Task.CompletedTask));
        await host.GetAsync("/traffic");

        await host.DeliverAsync(topic, CloudEvent("letter-1", 1, topic));
        await host.DeliverAsync(topic, CloudEvent("letter-2", 1, topic));

        Assert.Equal(2, (await host.GetAsync("/traffic")).GetProperty("delivered").GetProperty(topic).GetInt64());
    }

    [Fact]
    public async Task An_event_that_only_wakes_its_consumer_is_delivered_as_well()
    {
        var topic = $"letters-{Guid.NewGuid():N}";
        await using var host = await StartAsync(app => app.MapWakeUp(topic, "post", () => { }, _ => Task.CompletedTask));
        await host.GetAsync("/traffic");

        await host.DeliverAsync(topic, CloudEvent("letter-1", 1, topic));

        Assert.Equal(1, (await host.GetAsync("/traffic")).GetProperty("delivered").GetProperty(topic).GetInt64());
    }
}
