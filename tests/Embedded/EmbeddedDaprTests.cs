using System.Collections.Concurrent;
using System.Text;
using Dapr;
using Dapr.Client;
using EmbeddedSidecar;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Embedded.Tests;

/// <summary>Sidecars inside the process of a test, by the library's public types alone.</summary>
public sealed class EmbeddedDaprTests
{
    private const string Resources = """
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata: {name: statestore}
        spec: {type: state.in-memory, version: v1}
        ---
        apiVersion: dapr.io/v1alpha1
        kind: Component
        metadata: {name: pubsub}
        spec: {type: pubsub.in-memory, version: v1}
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_test_has_its_Dapr_in_three_lines_on_ports_that_are_free()
    {
        await using var dapr = await EmbeddedDapr.StartAsync(new() { Apps = [new() { AppId = "shop" }], Resources = Resources }, Cancellation);
        using var client = Client(dapr["shop"]);
        await client.SaveStateAsync("statestore", "greeting", "hello", cancellationToken: Cancellation);

        Assert.Equal("hello", await client.GetStateAsync<string>("statestore", "greeting", cancellationToken: Cancellation));
    }

    [Fact]
    public async Task Several_at_once_know_nothing_of_each_other()
    {
        await using var one = await EmbeddedDapr.StartAsync(new() { Apps = [new() { AppId = "shop" }], Resources = Resources }, Cancellation);
        await using var two = await EmbeddedDapr.StartAsync(new() { Apps = [new() { AppId = "shop" }], Resources = Resources }, Cancellation);
        using var first = Client(one["shop"]);
        using var second = Client(two["shop"]);

        await first.SaveStateAsync("statestore", "greeting", "hello", cancellationToken: Cancellation);

        Assert.Null(await second.GetStateAsync<string>("statestore", "greeting", cancellationToken: Cancellation));
    }

    [Fact]
    public async Task Applications_of_one_Dapr_reach_each_other_by_topic_and_by_call()
    {
        var events = new ConcurrentQueue<string>();
        var came = new TaskCompletionSource();
        await using var app = await StartAppAsync(routes =>
        {
            routes.MapPost("/orders", (Order order) =>
            {
                events.Enqueue(order.Id);
                came.TrySetResult();
            }).WithTopic("pubsub", "orders");
            routes.MapGet("/price", () => 42);
        });
        await using var dapr = await EmbeddedDapr.StartAsync(
            new() { Apps = [new() { AppId = "shop" }, new() { AppId = "prices", AppPort = PortOf(app) }], Resources = Resources }, Cancellation);
        await dapr.Ready.WaitAsync(Cancellation);
        using var shop = Client(dapr["shop"]);

        await shop.PublishEventAsync("pubsub", "orders", new Order("o-1"), Cancellation);
        using var prices = DaprClient.CreateInvokeHttpClient("prices", dapr["shop"].HttpEndpoint);

        Assert.Equal("42", await prices.GetStringAsync("/price", Cancellation));
        await came.Task.WaitAsync(Cancellation);
        Assert.Equal(["o-1"], events);
    }

    [Fact]
    public async Task Whatever_a_sidecar_does_is_shown_before_it_is_done()
    {
        var calls = new ConcurrentQueue<SidecarCall>();
        var delivered = new TaskCompletionSource();
        await using var app = await StartAppAsync(routes => routes.MapPost("/orders", (Order _) => delivered.TrySetResult()).WithTopic("pubsub", "orders"));
        await using var dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [new() { AppId = "shop", AppPort = PortOf(app) }],
                Resources = Resources,
                BeforeCall = (call, _) =>
                {
                    calls.Enqueue(call);
                    return default;
                },
            },
            Cancellation);
        await dapr.Ready.WaitAsync(Cancellation);
        calls.Clear();
        using var client = Client(dapr["shop"]);

        await client.SaveStateAsync("statestore", "greeting", "hello", cancellationToken: Cancellation);
        await client.PublishEventAsync("pubsub", "orders", new Order("o-1"), Cancellation);
        await delivered.Task.WaitAsync(Cancellation);

        Assert.Equal(
            ["statestore set shop||greeting", "pubsub publish orders", "pubsub deliver orders", " POST /orders"],
            calls.Select(call => $"{call.Component} {call.Operation} {string.Join(',', call.Subjects)}"));
        Assert.Equal("\"hello\"", Encoding.UTF8.GetString(calls.First().Payloads.Single().Span));
    }

    [Fact]
    public async Task What_is_thrown_before_a_call_of_a_store_is_the_stores_failure()
    {
        await using var dapr = await StartAsync(call => call.Component == "statestore" ? throw new IOException("the disk is full") : default);
        using var client = Client(dapr["shop"]);

        var failure = await Assert.ThrowsAsync<DaprException>(() => client.SaveStateAsync("statestore", "greeting", "hello", cancellationToken: Cancellation));

        Assert.Contains("the disk is full", failure.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_thrown_before_a_publication_is_the_brokers_failure()
    {
        await using var dapr = await StartAsync(call => call.Operation.EndsWith("publish", StringComparison.Ordinal) ? throw new IOException("no route") : default);
        using var client = Client(dapr["shop"]);

        await Assert.ThrowsAsync<DaprException>(() => client.PublishEventAsync("pubsub", "orders", new Order("o-1"), Cancellation));
        var bulk = await Assert.ThrowsAsync<DaprException>(() => client.BulkPublishEventAsync("pubsub", "orders", [new Order("o-2")], cancellationToken: Cancellation));

        Assert.Contains("no route", bulk.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_delivery_whose_call_of_the_application_fails_once_is_made_again_where_a_policy_says_so()
    {
        const string Retries = """
            apiVersion: dapr.io/v1alpha1
            kind: Resiliency
            metadata: {name: retries}
            spec:
              policies: {retries: {soon: {policy: constant, duration: 1ms, maxRetries: 3}}}
              targets: {components: {pubsub: {inbound: {retry: soon}}}}
            ---

            """ + Resources;
        var attempts = 0;
        var delivered = new TaskCompletionSource();
        await using var app = await StartAppAsync(routes => routes.MapPost("/orders", (Order _) => delivered.TrySetResult()).WithTopic("pubsub", "orders"));
        await using var dapr = await EmbeddedDapr.StartAsync(
            new()
            {
                Apps = [new() { AppId = "shop", AppPort = PortOf(app) }],
                Resources = Retries,
                BeforeCall = (call, _) =>
                    call.Subjects is ["/orders"] && Interlocked.Increment(ref attempts) == 1 ? throw new HttpRequestException("connection reset") : default,
            },
            Cancellation);
        await dapr.Ready.WaitAsync(Cancellation);
        using var client = Client(dapr["shop"]);

        await client.PublishEventAsync("pubsub", "orders", new Order("o-1"), Cancellation);

        await delivered.Task.WaitAsync(Cancellation);
        Assert.Equal(2, attempts);
    }

    [Fact]
    public async Task A_mistake_in_the_resources_is_told_with_its_line()
    {
        var mistake = Resources.Replace("state.in-memory", "state.im-memory", StringComparison.Ordinal);

        var failure = await Assert.ThrowsAsync<ResourceException>(
            () => EmbeddedDapr.StartAsync(new() { Apps = [new() { AppId = "shop" }], Resources = mistake }, Cancellation));

        var error = Assert.Single(failure.Errors);
        Assert.Contains("state.im-memory", error.Message, StringComparison.Ordinal);
        Assert.InRange(error.Location.Line, 1, 4);
    }

    [Fact]
    public void The_library_shows_about_ten_types_and_none_of_a_shop()
    {
        Assert.Equal(
            [
                "AppHealthCheck", "AppProtocol", "BeforeSidecarCall", "EmbeddedDapr", "EmbeddedDaprOptions", "ResourceError", "ResourceException", "SidecarCall",
                "SidecarHost", "SidecarOptions", "SourceLocation",
            ],
            typeof(EmbeddedDapr).Assembly.GetExportedTypes().Select(type => type.Name).Order(StringComparer.Ordinal));
        Assert.DoesNotContain(typeof(EmbeddedDapr).Assembly.GetReferencedAssemblies(), reference => reference.Name!.StartsWith("DaprOrders", StringComparison.Ordinal));
    }

    private static Task<EmbeddedDapr> StartAsync(Func<SidecarCall, ValueTask> before) => EmbeddedDapr.StartAsync(
        new() { Apps = [new() { AppId = "shop" }], Resources = Resources, BeforeCall = (call, _) => before(call) }, Cancellation);

    private static DaprClient Client(SidecarHost sidecar) =>
        new DaprClientBuilder().UseHttpEndpoint(sidecar.HttpEndpoint).UseGrpcEndpoint(sidecar.GrpcEndpoint).Build();

    private static async Task<WebApplication> StartAppAsync(Action<WebApplication> map)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        var app = builder.Build();
        app.UseCloudEvents();
        app.MapSubscribeHandler();
        map(app);
        await app.StartAsync(Cancellation);
        return app;
    }

    private static int PortOf(WebApplication app) =>
        new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Port;

    private sealed record Order(string Id);
}
