using System.Net.Http.Json;
using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.PubSub;
using EmbeddedSidecar.Metrics;
using EmbeddedSidecar.Resources;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Metrics;

/// <summary>What a sidecar was asked and has called is counted under the names of daprd's metrics (dapr pkg/diagnostics), at metricsPort.</summary>
public sealed class SidecarMetricsTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Calls_of_the_state_apis_are_counted_by_method_and_by_operation_with_their_keys()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("store", "state.in-memory")) with { MetricsPort = 0 });
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        using var http = Sidecars.Http(dapr["one"]);
        var save = new SaveStateRequest { StoreName = "store" };
        save.States.Add(new[] { "a", "b" }.Select(key => new StateItem { Key = key, Value = ByteString.CopyFromUtf8("1") }));
        var stale = new SaveStateRequest { StoreName = "store" };
        stale.States.Add(new StateItem { Key = "a", Value = ByteString.CopyFromUtf8("2"), Etag = new Etag { Value = "0" } });

        await client.SaveStateAsync(save, cancellationToken: Cancellation);
        await client.GetBulkStateAsync(new GetBulkStateRequest { StoreName = "store", Keys = { "a", "b", "c" } }, cancellationToken: Cancellation);
        await Assert.ThrowsAsync<RpcException>(async () => await client.SaveStateAsync(stale, cancellationToken: Cancellation));
        using (await http.GetAsync(new Uri("/v1.0/state/store/a", UriKind.Relative), Cancellation))
        using (await http.GetAsync(new Uri("/v1.0/state/store/b", UriKind.Relative), Cancellation))
        {
        }

        await ShowsAsync(
            dapr["one"],
            """dapr_grpc_io_server_completed_rpcs{app_id="one",grpc_server_method="/dapr.proto.runtime.v1.Dapr/SaveState",grpc_server_status="OK"} 1""",
            """dapr_grpc_io_server_completed_rpcs{app_id="one",grpc_server_method="/dapr.proto.runtime.v1.Dapr/SaveState",grpc_server_status="Aborted"} 1""",
            """dapr_grpc_io_server_completed_rpcs{app_id="one",grpc_server_method="/dapr.proto.runtime.v1.Dapr/GetBulkState",grpc_server_status="OK"} 1""",
            """dapr_http_server_request_count{app_id="one",method="GET",path="/v1.0/state/store",status="200"} 2""",
            """dapr_component_state_count{app_id="one",component="store",operation="set",success="true"} 1""",
            """dapr_component_state_count{app_id="one",component="store",operation="set",success="false"} 1""",
            """dapr_component_state_count{app_id="one",component="store",operation="bulk_get",success="true"} 1""",
            """dapr_component_state_count{app_id="one",component="store",operation="get",success="true"} 2""",
            """dapr_component_state_items{app_id="one",component="store",operation="bulk_get"} 3""",
            """dapr_component_state_items{app_id="one",component="store",operation="set"} 3""");
    }

    [Fact]
    public async Task Publications_and_deliveries_are_counted_with_what_the_application_answered()
    {
        await using var app = await TestApp.StartAsync(context =>
        {
            context.Response.StatusCode = context.Request.Path == "/orders" ? 200 : 404;
            return context.Response.StatusCode == 200 ? context.Response.WriteAsync("""{"status":"SUCCESS"}""", Cancellation) : Task.CompletedTask;
        });
        await using var dapr = await Sidecars.StartAsync(Subscribed(app.Port, bulk: false));
        await dapr["one"].Ready;
        using var channel = Sidecars.Grpc(dapr["one"]);

        await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).PublishEventAsync(
            new PublishEventRequest { PubsubName = "pubsub", Topic = "orders", Data = ByteString.CopyFromUtf8("{}"), DataContentType = "application/json" },
            cancellationToken: Cancellation);

        await ShowsAsync(
            dapr["one"],
            """dapr_component_pubsub_egress_count{app_id="one",component="pubsub",topic="orders",success="true"} 1""",
            """dapr_component_pubsub_ingress_count{app_id="one",component="pubsub",topic="orders",process_status="success"} 1""",
            """dapr_http_client_completed_count{app_id="one",method="POST",path="/orders",status="200"} 1""");
    }

    [Fact]
    public async Task A_bulk_delivery_is_one_call_with_so_many_events()
    {
        await using var app = await TestApp.StartAsync(AnswerBatchAsync);
        await using var dapr = await Sidecars.StartAsync(Subscribed(app.Port, bulk: true));
        await dapr["one"].Ready;
        using var channel = Sidecars.Grpc(dapr["one"]);
        var request = new BulkPublishRequest { PubsubName = "pubsub", Topic = "orders" };
        request.Entries.Add(Enumerable.Range(0, 3).Select(n => new BulkPublishRequestEntry
        {
            EntryId = $"{n}",
            ContentType = "application/json",
            Event = ByteString.CopyFromUtf8("{}"),
        }));

        await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).BulkPublishEventAsync(request, cancellationToken: Cancellation);

        await ShowsAsync(
            dapr["one"],
            """dapr_component_pubsub_egress_bulk_count{app_id="one",component="pubsub",topic="orders",success="true"} 1""",
            """dapr_component_pubsub_egress_bulk_event_count{app_id="one",component="pubsub",topic="orders",success="true"} 3""",
            """dapr_component_pubsub_ingress_bulk_event_count{app_id="one",component="pubsub",topic="orders",process_status="success"} 3""");
    }

    [Fact]
    public async Task Calls_of_others_are_counted_attempt_by_attempt_on_both_sides_and_those_of_the_own_application_are_not()
    {
        var calls = 0;
        await using var app = await TestApp.StartAsync(context =>
        {
            context.Response.StatusCode = context.Request.Path == "/flaky" && Interlocked.Increment(ref calls) == 1 ? 500 : 200;
            return Task.CompletedTask;
        });
        var resources = ResourceLoader.Read($$$$"""
            apiVersion: dapr.io/v1alpha1
            kind: Resiliency
            metadata: {name: r}
            spec:
              policies: {retries: {once: {policy: constant, duration: 1ms, maxRetries: 1}}}
              targets: {apps: {two: {retry: once}}}
            ---
            apiVersion: dapr.io/v1alpha1
            kind: HTTPEndpoint
            metadata: {name: outside}
            spec: {baseUrl: "http://127.0.0.1:{{{{app.Port}}}}"}
            """);
        var denied = ConfigurationResource.Default with { AccessControl = new(Allows: false, "public", []) };
        await using var dapr = await Sidecars.StartAsync(
            Sidecars.App("one") with { AppPort = app.Port, MetricsPort = 0, Resources = resources },
            Sidecars.App("two") with { AppPort = app.Port, MetricsPort = 0 },
            Sidecars.App("closed") with { AppPort = app.Port, MetricsPort = 0, Configuration = denied });
        using var http = Sidecars.Http(dapr["one"]);

        foreach (var path in new[] { "two/method/orders", "two/method/flaky", "one/method/orders", "outside/method/orders", "closed/method/orders" })
        {
            using (await http.GetAsync(new Uri($"/v1.0/invoke/{path}", UriKind.Relative), Cancellation))
            {
            }
        }

        await ShowsAsync(
            dapr["one"],
            """dapr_runtime_service_invocation_req_sent_total{app_id="one",dst_app_id="two",type="unary"} 3""",
            """dapr_runtime_service_invocation_req_sent_total{app_id="one",dst_app_id="outside",type="unary"} 1""",
            """dapr_runtime_service_invocation_req_sent_total{app_id="one",dst_app_id="closed",type="unary"} 1""");
        await ShowsAsync(dapr["two"], """dapr_runtime_service_invocation_req_recv_total{app_id="two",src_app_id="one"} 3""");
        Assert.DoesNotContain("dst_app_id=\"one\"", await ReadAsync(dapr["one"], "/metrics"), StringComparison.Ordinal);
        // What its sidecar refuses it has not received.
        Assert.DoesNotContain("req_recv_total{", await ReadAsync(dapr["closed"], "/metrics"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_port_of_the_counts_is_no_port_of_the_apis_and_asks_for_no_token()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { MetricsPort = 0, ApiToken = "secret" });

        Assert.DoesNotContain("request_count{", await ReadAsync(dapr["one"], "/v1.0/metadata"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Operations_of_output_bindings_are_counted_with_how_long_they_took()
    {
        using var folder = new TemporaryFolder();
        var files = Sidecars.Component("files", "bindings.localstorage", ("rootPath", folder.File("files")));
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", files) with { MetricsPort = 0 });
        using var http = Sidecars.Http(dapr["one"]);
        foreach (var operation in new[] { "create", "get", "invented-1", "invented-2" })
        {
            using (await http.PostAsJsonAsync("/v1.0/bindings/files", new { operation, data = "x", metadata = new { fileName = operation } }, Cancellation))
            {
            }
        }

        await ShowsAsync(
            dapr["one"],
            """dapr_component_output_binding_count{app_id="one",component="files",operation="create",success="true"} 1""",
            """dapr_component_output_binding_count{app_id="one",component="files",operation="get",success="false"} 1""",
            """dapr_component_output_binding_count{app_id="one",component="files",operation="",success="false"} 2""",
            """dapr_component_output_binding_latencies_count{app_id="one",component="files",operation="create",success="true"} 1""",
            """dapr_component_output_binding_latencies_bucket{app_id="one",component="files",operation="create",success="true",le="100000"} 1""");
    }

    [Fact]
    public async Task Events_of_input_bindings_and_jobs_are_counted_by_what_the_application_made_of_them()
    {
        await using var app = await TestApp.StartAsync(context =>
        {
            context.Response.StatusCode = context.Request.Path.Value switch
            {
                "/good" or "/job/good" => 200,
                "/bad" when HttpMethods.IsOptions(context.Request.Method) => 200,
                "/bad" or "/job/bad" => 500,
                _ => 404,
            };
            return Task.CompletedTask;
        });
        var components = new[] { "good", "bad" }.Select(name => Sidecars.Component(name, "bindings.cron", ("schedule", "@every 1s"))).ToArray();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", components) with { AppPort = app.Port, MetricsPort = 0 });
        await dapr["one"].Ready;
        using var http = Sidecars.Http(dapr["one"]);
        foreach (var job in new[] { "good", "bad", "unknown" })
        {
            using var scheduled = await http.PostAsJsonAsync($"/v1.0/jobs/{job}", new { dueTime = "0s", failurePolicy = new { drop = new { } } }, Cancellation);
            Assert.True(scheduled.IsSuccessStatusCode, await scheduled.Content.ReadAsStringAsync(Cancellation));
        }

        var awaited = new HashSet<string> { "POST /good", "POST /bad", "POST /job/good", "POST /job/bad", "POST /job/unknown" };
        while (awaited.Count > 0)
            awaited.Remove(await app.NextCallAsync());

        await ShowsAsync(
            dapr["one"],
            """dapr_component_job_success_count{app_id="one",operation="job_trigger_op"} 1""",
            """dapr_component_job_failure_count{app_id="one",operation="job_trigger_op"} 2""",
            """dapr_component_job_latencies_count{app_id="one",operation="job_trigger_op",success="true"} 1""",
            """dapr_component_input_binding_count{app_id="one",component="good",success="true"} """,
            """dapr_component_input_binding_count{app_id="one",component="bad",success="false"} """,
            """dapr_component_input_binding_latencies_count{app_id="one",component="good",success="true"} """);
    }

    [Theory]
    [InlineData("/v1.0/state/store/a-key", "/v1.0/state/store")]
    [InlineData("/v1.0/invoke/other/method/orders/0192", "/v1.0/invoke/other")]
    [InlineData("/v1.0/actors/Stock/0192/method/hold", "/v1.0/actors/Stock/{id}/method")]
    [InlineData("/actors/Stock/0192/method/hold", "actors/Stock/{id}/method/hold")]
    [InlineData("/actors/Stock/0192", "actors/Stock/{id}")]
    [InlineData("/v1.0/healthz", "/v1.0/healthz")]
    [InlineData("/v1.0/publish/pubsub/orders", "/v1.0/publish/pubsub")]
    [InlineData("/customers/c-42/orders", "/customers")]
    [InlineData("/orders", "/orders")]
    [InlineData("/", "/")]
    public void Paths_are_told_without_ids(string path, string label) => Assert.Equal(label, new SidecarMetrics("one", null).PathLabel(path));

    [Fact]
    public void Paths_that_callers_invent_do_not_fill_the_memory()
    {
        var metrics = new SidecarMetrics("one", null);

        var labels = Enumerable.Range(0, 1_000).Select(n => metrics.PathLabel($"/invented-{n}")).Distinct().Count();

        Assert.Equal(201, labels);
    }

    [Fact]
    public async Task Verbs_that_callers_invent_do_not_fill_the_memory()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { MetricsPort = 0 });
        using var http = Sidecars.Http(dapr["one"]);
        for (var n = 0; n < 300; n++)
        {
            using var request = new HttpRequestMessage(new HttpMethod($"INVENTED-{n}"), "/v1.0/metadata");
            using (await http.SendAsync(request, Cancellation))
            {
            }
        }

        await ShowsAsync(
            dapr["one"],
            """dapr_http_server_request_count{app_id="one",method="INVENTED-0",path="/v1.0/metadata",status="404"} 1""",
            """dapr_http_server_request_count{app_id="one",method="",path="/v1.0/metadata",status="404"} """);
    }

    [Fact]
    public async Task Components_secrets_and_what_came_to_actors_are_counted()
    {
        await using var app = await TestApp.StartAsync(context =>
        {
            context.Response.StatusCode = context.Request.Path.Value!.EndsWith("/fails", StringComparison.Ordinal) ? 500 : 200;
            return context.Request.Path == "/dapr/config" ? context.Response.WriteAsync("""{"entities": ["Cart"], "actorIdleTimeout": "200ms"}""", Cancellation) : Task.CompletedTask;
        });
        await using var dapr = await Sidecars.StartAsync(
            Sidecars.App("one", Sidecars.Component("env", "secretstores.local.env"), Sidecars.Component("store", "state.in-memory"), Sidecars.Component("other", "state.in-memory")) with
            {
                AppPort = app.Port,
                MetricsPort = 0,
            });
        await dapr.Ready.WaitAsync(Cancellation);
        using var http = Sidecars.Http(dapr["one"]);

        using (await http.GetAsync(new Uri("/v1.0/secrets/env/PATH", UriKind.Relative), Cancellation))
        using (await http.GetAsync(new Uri("/v1.0/secrets/env/bulk", UriKind.Relative), Cancellation))
        using (await http.PostAsJsonAsync("/v1.0/actors/Cart/1/reminders/wake", new { dueTime = "0s" }, Cancellation))
        using (await http.PostAsJsonAsync("/v1.0/actors/Cart/1/timers/tick", new { dueTime = "0s" }, Cancellation))
        using (await http.PostAsJsonAsync("/v1.0/actors/Cart/1/timers/fails", new { dueTime = "0s" }, Cancellation))
        {
        }

        await ShowsAsync(
            dapr["one"],
            """dapr_runtime_component_loaded{app_id="one"} 3""",
            """dapr_runtime_component_init_total{app_id="one",component="state.in-memory"} 2""",
            """dapr_runtime_component_init_total{app_id="one",component="secretstores.local.env"} 1""",
            """dapr_component_secret_count{app_id="one",component="env",operation="get",success="true"} 1""",
            """dapr_component_secret_count{app_id="one",component="env",operation="bulk_get",success="true"} 1""",
            """dapr_component_secret_latencies_count{app_id="one",component="env",operation="get",success="true"} 1""",
            """dapr_runtime_actor_reminders_fired_total{app_id="one",actor_type="Cart",success="true"} 1""",
            """dapr_runtime_actor_timers_fired_total{app_id="one",actor_type="Cart",success="true"} 1""",
            """dapr_runtime_actor_timers_fired_total{app_id="one",actor_type="Cart",success="false"} 1""",
            """dapr_runtime_actor_deactivated_total{app_id="one",actor_type="Cart"} """);
    }

    [Fact]
    public async Task Decisions_of_the_access_control_are_counted_at_the_called_side_by_their_caller_and_by_whose_default_stands_behind_them()
    {
        await using var app = await TestApp.StartAsync(200);
        var table = ConfigurationResource.Default with
        {
            AccessControl = new(Allows: false, "public",
            [
                new("strict", "public", "default", Allows: false, [new("/get", ["GET"], Allows: true)]),
                new("loose", "public", "default", Allows: null, [new("/get", ["GET"], Allows: true)]),
            ]),
        };
        await using var dapr = await Sidecars.StartAsync(
            Sidecars.App("one") with { AppPort = app.Port, MetricsPort = 0, Configuration = table }, Sidecars.App("strict"), Sidecars.App("loose"), Sidecars.App("other"));
        await dapr.Ready;

        foreach (var caller in new[] { "strict", "loose", "other" })
        {
            using var http = Sidecars.Http(dapr[caller]);
            foreach (var path in new[] { "get", "get", "post" })
            {
                using var answer = await http.GetAsync(new Uri($"/v1.0/invoke/one/method/{path}", UriKind.Relative), Cancellation);
            }
        }

        await ShowsAsync(
            dapr["one"],
            """dapr_runtime_acl_app_policy_action_allowed_total{app_id="strict",trustDomain="public",namespace="default"} 2""",
            """dapr_runtime_acl_app_policy_action_blocked_total{app_id="strict",trustDomain="public",namespace="default"} 1""",
            """dapr_runtime_acl_global_policy_action_allowed_total{app_id="loose",trustDomain="public",namespace="default"} 2""",
            """dapr_runtime_acl_global_policy_action_blocked_total{app_id="loose",trustDomain="public",namespace="default"} 1""",
            """dapr_runtime_acl_global_policy_action_blocked_total{app_id="other",trustDomain="public",namespace="default"} 3""");
    }

    [Theory]
    [InlineData("metrics: {enabled: false}", false)]
    [InlineData("metric: {enabled: false}", false)]
    [InlineData("metric: {enabled: false}\n  metrics: {enabled: true}", true)]
    [InlineData("metrics: {http: {increasedCardinality: true}}", true)]
    public async Task A_configuration_switches_off_what_the_port_tells_and_not_the_port(string spec, bool isOn)
    {
        using var folder = new TemporaryFolder();
        var file = folder.File("config.yaml");
        await File.WriteAllTextAsync(file, $"apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {{name: config}}\nspec:\n  {spec}\n", Cancellation);
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("store", "state.in-memory")) with { MetricsPort = 0, ConfigPath = file });

        Assert.Equal(isOn, (await ReadAsync(dapr["one"], "/metrics")).Contains("dapr_", StringComparison.Ordinal));
    }

    private static SidecarOptions Subscribed(int appPort, bool bulk)
    {
        var component = Sidecars.Component("pubsub", "pubsub.in-memory");
        var subscription = new SubscriptionResource(
            "orders", "pubsub", "orders", [new("", "/orders")], null, new Dictionary<string, string>(), bulk ? new(true, 100, 5) : null, [], default);
        return Sidecars.App("one", component) with { AppPort = appPort, MetricsPort = 0, Resources = new([component], [subscription], [], []) };
    }

    private static async Task AnswerBatchAsync(HttpContext context)
    {
        if (context.Request.Path != "/orders")
        {
            context.Response.StatusCode = 404;
            return;
        }

        using var body = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: context.RequestAborted);
        var statuses = body.RootElement.GetProperty("entries").EnumerateArray().Select(entry => new { entryId = entry.GetProperty("entryId").GetString(), status = "SUCCESS" });
        await context.Response.WriteAsJsonAsync(new { statuses }, context.RequestAborted);
    }

    /// <summary>A count may come a moment after the answer to what it counts.</summary>
    /// <summary>A line that ends with a space may have any number.</summary>
    private static async Task ShowsAsync(SidecarHost sidecar, params string[] lines)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromMinutes(2));
        string[] missing;
        string told;
        do
        {
            told = await ReadAsync(sidecar, "/metrics");
            var shown = told.Split('\n');
            missing = [.. lines.Where(line => !shown.Any(one => line.EndsWith(' ') ? one.StartsWith(line, StringComparison.Ordinal) : one == line))];
        }
        while (missing.Length > 0 && !limit.IsCancellationRequested);
        Assert.True(missing.Length == 0, $"Missing:\n{string.Join('\n', missing)}\nin\n{told}");
    }

    private static async Task<string> ReadAsync(SidecarHost sidecar, string path)
    {
        using var http = new HttpClient();
        return await http.GetStringAsync(new Uri($"http://127.0.0.1:{sidecar.Runtime.MetricsPort}{path}"), Cancellation);
    }
}
