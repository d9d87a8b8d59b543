using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.Invocation;
using DaprOrders.Sidecar.Tests.PubSub;
using EmbeddedSidecar.Resources;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Tracing;

/// <summary>The spans of sidecars arrive where spec.tracing sends them, with daprd's names, kinds and attributes (dapr pkg/diagnostics), as one trace with what the applications see.</summary>
public sealed class SpansTests
{
    private const string Trace = "0af7651916cd43dd8448eb211c80319c";
    private const string CallersSpan = "b7ad6b7169203331";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("zipkin")]
    [InlineData("otel http")]
    [InlineData("otel grpc")]
    public async Task A_call_from_application_to_application_is_one_trace_over_both_sidecars(string exporter)
    {
        await using var collector = await SpanCollector.StartAsync(overGrpc: exporter == "otel grpc");
        var tracing = exporter switch { "zipkin" => collector.Zipkin, "otel http" => collector.OtelHttp, _ => collector.OtelGrpc };
        await using var app = await TestApp.StartAsync(StatusCodes.Status404NotFound);
        var dapr = await Sidecars.StartAsync(Traced("one", tracing), Traced("two", tracing) with { AppPort = app.Port });
        ActivityContext seen, answered;
        await using (dapr)
        {
            await dapr["two"].Ready;
            using var http = Sidecars.Http(dapr["one"]);
            using var request = new HttpRequestMessage(HttpMethod.Put, "/v1.0/invoke/two/method/orders/7?page=1");
            request.Headers.Add("traceparent", $"00-{Trace}-{CallersSpan}-01");
            request.Headers.Add("dapr-purpose", "test");
            using var answer = await http.SendAsync(request, Cancellation);
            answered = Parse(answer.Headers.GetValues("traceparent").Single());
            seen = Parse(app.LastHeaders.TraceParent.ToString());
        }

        var client = Assert.Single(collector.Spans, span => span.Service == "one");
        Assert.Equal((Trace, CallersSpan, answered.SpanId.ToHexString()), (client.TraceId, client.ParentId, client.Id));
        Assert.Equal(("CallLocal/two/orders/7", "CLIENT"), (client.Name, client.Kind));
        Assert.Equal(
            ("http", "PUT /v1.0/invoke/two/method/orders/7", "404", "two", "ServiceInvocation"),
            (client["dapr.protocol"], client["dapr.api"], client["dapr.status_code"], client["net.peer.name"], client["rpc.service"]));
        Assert.Equal(("PUT", "/v1.0/invoke/two/method/orders/7?page=1", "test"), (client["http.request.method"], client["url.full"], client["dapr-purpose"]));
        Assert.Equal("Code(404): Not Found", client.Error);

        var server = Assert.Single(collector.Spans, span => span.Service == "two");
        Assert.Equal((Trace, client.Id, seen.SpanId.ToHexString()), (server.TraceId, server.ParentId, server.Id));
        Assert.Equal(("CallLocal/two/orders/7", "SERVER"), (server.Name, server.Kind));
        Assert.Equal(("orders/7", "grpc", "ServiceInvocation"), (server["dapr.invoke_method"], server["dapr.protocol"], server["rpc.service"]));
        if (exporter != "zipkin")
            Assert.Equal("a b,c", collector.LastHeaders["x-tenant"].ToString());
    }

    [Fact]
    public async Task The_environment_of_the_process_says_nothing_of_the_way_to_a_collector()
    {
        // Nothing else in this process reads them.
        Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_HEADERS", "x-from-environment=1");
        Environment.SetEnvironmentVariable("OTEL_EXPORTER_OTLP_TIMEOUT", "0");
        await using var collector = await SpanCollector.StartAsync();
        var tracing = collector.OtelHttp;
        await using (var dapr = await Sidecars.StartAsync(Traced("one", tracing with { Otel = tracing.Otel! with { Timeout = null } })))
        {
            using var http = Sidecars.Http(dapr["one"]);
            using (await http.GetAsync(new Uri("/v1.0/state/none/key", UriKind.Relative), Cancellation))
            {
            }
        }

        Assert.NotEmpty(collector.Spans);
        Assert.False(collector.LastHeaders.ContainsKey("x-from-environment"));
    }

    [Fact]
    public async Task A_sidecar_whose_start_fails_leaves_no_source_of_spans_behind()
    {
        await using var collector = await SpanCollector.StartAsync();
        var component = Sidecars.Component("pubsub", "pubsub.in-memory");
        var subscription = new SubscriptionResource(
            "orders", "pubsub", "orders", [new("event.type ==", "/orders")], null, new Dictionary<string, string>(), null, [], default);
        var options = Traced("failing", collector.Zipkin) with { AppPort = 1, Resources = new([component], [subscription], [], []) };

        await Assert.ThrowsAsync<ResourceException>(() => Sidecars.StartAsync(options));

        var left = new List<string>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source =>
            {
                lock (left)
                    left.Add(source.Name);
                return false;
            },
        };
        ActivitySource.AddActivityListener(listener);
        lock (left)
            Assert.DoesNotContain(left, name => name.StartsWith("dapr-diagnostics.failing.", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_is_published_and_its_delivery_are_one_trace()
    {
        await using var collector = await SpanCollector.StartAsync();
        await using var app = await SubscriberAsync();
        await using (var dapr = await Sidecars.StartAsync(Subscribed(app.Port, collector.Zipkin, bulk: false)))
        {
            await dapr["one"].Ready;
            using var http = Sidecars.Http(dapr["one"]);
            using (await http.PostAsJsonAsync("/v1.0/publish/pubsub/orders", new { id = 1 }, Cancellation))
            {
            }

            await UntilAsync(app, "POST /orders");
        }

        var publication = Assert.Single(collector.Spans, span => span.Name == "/v1.0/publish/pubsub/orders");
        Assert.Equal(("CLIENT", "pubsub", "orders", null), (publication.Kind, publication["messaging.system"], publication["messaging.destination.name"], publication.Error));
        var delivery = Assert.Single(collector.Spans, span => span.Name == "pubsub/orders");
        Assert.Equal((publication.TraceId, publication.Id, "CLIENT"), (delivery.TraceId, delivery.ParentId, delivery.Kind));
        Assert.Equal(("pubsub", "orders"), (delivery["messaging.system"], delivery["messaging.destination.name"]));
        Assert.Equal(delivery.Id, Parse(app.LastHeaders.TraceParent.ToString()).SpanId.ToHexString());
    }

    [Fact]
    public async Task Each_event_of_a_bulk_publication_and_of_a_bulk_delivery_has_a_span()
    {
        await using var collector = await SpanCollector.StartAsync();
        using var delivered = new SemaphoreSlim(0);
        await using var app = await TestApp.StartAsync(async context =>
        {
            if (context.Request.Path != "/orders")
            {
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                return;
            }

            var batch = await context.Request.ReadFromJsonAsync<JsonElement>(Cancellation);
            var ids = batch.GetProperty("entries").EnumerateArray().Select(entry => entry.GetProperty("entryId").GetString()).ToList();
            await context.Response.WriteAsJsonAsync(new { statuses = ids.Select(id => new { entryId = id, status = "SUCCESS" }) }, Cancellation);
            delivered.Release(ids.Count);
        });
        await using (var dapr = await Sidecars.StartAsync(Subscribed(app.Port, collector.Zipkin, bulk: true)))
        {
            await dapr["one"].Ready;
            using var channel = Sidecars.Grpc(dapr["one"]);
            var request = new BulkPublishRequest { PubsubName = "pubsub", Topic = "orders" };
            request.Entries.Add(Enumerable.Range(0, 2).Select(n => new BulkPublishRequestEntry
            {
                EntryId = $"{n}",
                ContentType = "application/json",
                Event = ByteString.CopyFromUtf8("{}"),
            }));
            await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).BulkPublishEventAsync(request, cancellationToken: Cancellation);
            for (var events = 0; events < 2; events++)
                await delivered.WaitAsync(Cancellation);
        }

        var publication = Assert.Single(collector.Spans, span => span.Kind == "CLIENT" && span.Name == "/dapr.proto.runtime.v1.Dapr/BulkPublishEvent");
        Assert.Equal(("grpc", "orders", "Dapr"), (publication["dapr.protocol"], publication["messaging.destination.name"], publication["rpc.service"]));
        var published = collector.Spans.Where(span => span.Kind == "PRODUCER").ToList();
        Assert.Equal(2, published.Count);
        Assert.All(published, one => Assert.Equal((publication.Id, publication.Name), (one.ParentId, one.Name)));
        Assert.Equal(
            published.Select(one => one.Id).Order(), collector.Spans.Where(span => span.Name == "pubsub/orders").Select(span => span.ParentId!).Order());
    }

    [Fact]
    public async Task Calls_of_the_gRPC_API_tell_component_and_failure()
    {
        await using var collector = await SpanCollector.StartAsync();
        await using (var dapr = await Sidecars.StartAsync(Traced("one", collector.Zipkin, Sidecars.Component("store", "state.in-memory"))))
        {
            using var channel = Sidecars.Grpc(dapr["one"]);
            var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
            var trace = new Grpc.Core.Metadata { { "traceparent", $"00-{Trace}-{CallersSpan}-01" }, { "dapr-purpose", "test" } };
            await client.GetStateAsync(new GetStateRequest { StoreName = "store", Key = "a" }, trace, cancellationToken: Cancellation);
            await Assert.ThrowsAsync<RpcException>(async () =>
                await client.GetStateAsync(new GetStateRequest { StoreName = "none", Key = "a" }, cancellationToken: Cancellation));
        }

        var read = Assert.Single(collector.Spans, span => span["db.name"] == "store");
        Assert.Equal(("/dapr.proto.runtime.v1.Dapr/GetState", "CLIENT", Trace, CallersSpan), (read.Name, read.Kind, read.TraceId, read.ParentId));
        Assert.Equal(
            ("grpc", "/dapr.proto.runtime.v1.Dapr/GetState", "state", "Dapr", "test"),
            (read["dapr.protocol"], read["dapr.api"], read["db.system"], read["rpc.service"], read["dapr-purpose"]));
        Assert.Null(read.Error);
        Assert.Contains("none", Assert.Single(collector.Spans, span => span["db.name"] == "none").Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_call_that_is_proxied_over_gRPC_is_one_trace()
    {
        await using var collector = await SpanCollector.StartAsync();
        await using var shop = await ShopApp.StartAsync();
        await using (var dapr = await Sidecars.StartAsync(
            Traced("one", collector.Zipkin), Traced("shop", collector.Zipkin) with { AppPort = shop.Port, AppProtocol = AppProtocol.Grpc }))
        {
            await dapr["shop"].Ready;
            using var channel = Sidecars.Grpc(dapr["one"]);
            var options = new CallOptions(new() { { "dapr-app-id", "shop" } }, cancellationToken: Cancellation);
            await channel.CreateCallInvoker().AsyncUnaryCall(ShopApp.Get, null, options, new() { Value = "order" });
        }

        var client = Assert.Single(collector.Spans, span => span.Service == "one");
        var server = Assert.Single(collector.Spans, span => span.Service == "shop");
        Assert.Equal((ShopApp.Get.FullName, "CLIENT", "shop", null), (client.Name, client.Kind, client["dapr-app-id"], client.Error));
        Assert.Equal((ShopApp.Get.FullName, "SERVER", client.TraceId, client.Id), (server.Name, server.Kind, server.TraceId, server.ParentId));
    }

    [Fact]
    public async Task A_tick_of_an_input_binding_begins_a_trace()
    {
        await using var collector = await SpanCollector.StartAsync();
        await using var app = await TestApp.StartAsync(StatusCodes.Status200OK);
        var cron = Sidecars.Component("tick", "bindings.cron", ("schedule", "@every 1s"));
        await using (var dapr = await Sidecars.StartAsync(Traced("one", collector.Zipkin, cron) with { AppPort = app.Port }))
            await UntilAsync(app, "POST /tick");

        var tick = collector.Spans.First(span => span.Name == "bindings/tick");
        Assert.Equal(("CLIENT", null, "bindings", "tick", "POST /tick"), (tick.Kind, tick.ParentId, tick["db.system"], tick["db.name"], tick["db.connection_string"]));
        Assert.Contains(collector.Spans, span => span.Id == Parse(app.LastHeaders.TraceParent.ToString()).SpanId.ToHexString());
    }

    [Fact]
    public async Task Calls_of_components_tell_which_and_a_token_is_told_to_nobody()
    {
        using var folder = new TemporaryFolder();
        await using var collector = await SpanCollector.StartAsync();
        var files = Sidecars.Component("files", "bindings.localstorage", ("rootPath", folder.File("files")));
        var options = Traced("one", collector.Zipkin, files, Sidecars.Component("store", "state.in-memory")) with { ApiToken = "secret" };
        await using (var dapr = await Sidecars.StartAsync(options))
        {
            using var http = Sidecars.Http(dapr["one"]);
            http.DefaultRequestHeaders.Add("dapr-api-token", "wrong");
            using (var refused = await http.GetAsync(new Uri("/v1.0/state/store/a", UriKind.Relative), Cancellation))
                Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
            http.DefaultRequestHeaders.Remove("dapr-api-token");
            http.DefaultRequestHeaders.Add("dapr-api-token", "secret");
            using (await http.GetAsync(new Uri("/v1.0/healthz", UriKind.Relative), Cancellation))
            using (await http.PostAsJsonAsync("/v1.0/bindings/files", new { operation = "list" }, Cancellation))
            using (await http.GetAsync(new Uri("/v1.0/state/store/a", UriKind.Relative), Cancellation))
            {
            }
        }

        Assert.Equal(3, collector.Spans.Count);
        Assert.All(collector.Spans, span => Assert.DoesNotContain("dapr-api-token", span.Attributes.Keys));
        var binding = Assert.Single(collector.Spans, span => span["db.system"] == "bindings");
        Assert.Equal(("/v1.0/bindings/files", "files", "POST /v1.0/bindings/files"), (binding.Name, binding["db.name"], binding["db.statement"]));
        var state = Assert.Single(collector.Spans, span => span["db.system"] == "state");
        Assert.Equal(("/v1.0/state/store/a", "store", "204"), (state.Name, state["db.name"], state["dapr.status_code"]));
    }

    [Fact]
    public async Task With_a_rate_of_0_only_what_a_parent_has_sampled_is_sampled_and_applications_are_told_so()
    {
        await using var collector = await SpanCollector.StartAsync();
        await using var app = await TestApp.StartAsync(StatusCodes.Status200OK);
        await using (var dapr = await Sidecars.StartAsync(
            Traced("one", collector.Zipkin with { SamplingRate = 0 }), Traced("two", collector.Zipkin with { SamplingRate = 0 }) with { AppPort = app.Port }))
        {
            await dapr["two"].Ready;
            using var http = Sidecars.Http(dapr["one"]);
            using (await http.GetAsync(new Uri("/v1.0/invoke/two/method/a", UriKind.Relative), Cancellation))
                Assert.Equal(ActivityTraceFlags.None, Parse(app.LastHeaders.TraceParent.ToString()).TraceFlags);
            using var request = new HttpRequestMessage(HttpMethod.Get, "/v1.0/invoke/two/method/b");
            request.Headers.Add("traceparent", $"00-{Trace}-{CallersSpan}-01");
            using var answer = await http.SendAsync(request, Cancellation);
            Assert.Equal(ActivityTraceFlags.Recorded, Parse(app.LastHeaders.TraceParent.ToString()).TraceFlags);
        }

        Assert.Equal(["CallLocal/two/b", "CallLocal/two/b"], collector.Spans.Select(span => span.Name));
    }

    [Fact]
    public async Task Nothing_is_made_where_nobody_takes_spans()
    {
        await using var dapr = await Sidecars.StartAsync(Traced("one", new(1)));

        Assert.Null(dapr["one"].Runtime.Loaded.Tracing);
    }

    private static SidecarOptions Traced(string appId, TracingSettings tracing, params ComponentResource[] components) =>
        Sidecars.App(appId, components) with { Configuration = ConfigurationResource.Default with { Tracing = tracing } };

    private static SidecarOptions Subscribed(int appPort, TracingSettings tracing, bool bulk)
    {
        var component = Sidecars.Component("pubsub", "pubsub.in-memory");
        var subscription = new SubscriptionResource(
            "orders", "pubsub", "orders", [new("", "/orders")], null, new Dictionary<string, string>(), bulk ? new(true, 100, 5) : null, [], default);
        return Traced("one", tracing, component) with { AppPort = appPort, Resources = new([component], [subscription], [], []) };
    }

    private static Task<TestApp> SubscriberAsync() => TestApp.StartAsync(context =>
    {
        context.Response.StatusCode = context.Request.Path == "/orders" ? StatusCodes.Status200OK : StatusCodes.Status404NotFound;
        return Task.CompletedTask;
    });

    private static async Task UntilAsync(TestApp app, string call)
    {
        while (await app.NextCallAsync() != call)
        {
            // Others come before.
        }
    }

    private static ActivityContext Parse(string traceParent)
    {
        Assert.True(ActivityContext.TryParse(traceParent, null, out var context), $"'{traceParent}' is no traceparent");
        return context;
    }
}
