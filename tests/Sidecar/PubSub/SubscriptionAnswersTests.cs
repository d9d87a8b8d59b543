using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Dapr.AppCallback.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Api.PubSub;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.PubSub;

/// <summary>What comes of what an application answers to the question for its subscriptions (dapr pkg/runtime/pubsub, pkg/runtime/processor/subscriber).</summary>
public sealed class SubscriptionAnswersTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void One_over_gRPC_with_rules_and_no_default_gets_no_event_that_none_of_them_takes()
    {
        var subscription = AppSubscriptions.Read(new TopicSubscription
        {
            PubsubName = "pubsub",
            Topic = "orders",
            Routes = new() { Rules = { new TopicRule { Match = "event.type == \"paid\"", Path = "/paid" } } },
        });

        Assert.Equal([new RouteRule("event.type == \"paid\"", "/paid")], subscription.Rules);
        Assert.Null(new RouteRules(subscription).PathFor("""{"type":"other"}"""u8.ToArray()));
    }

    [Fact]
    public void One_over_gRPC_gets_its_events_at_its_default_or_without_rules_at_no_path()
    {
        Assert.Equal([new RouteRule("", "/all")], AppSubscriptions.Read(new TopicSubscription { Routes = new() { Default = "/all" } }).Rules);
        Assert.Equal([new RouteRule("", "")], AppSubscriptions.Read(new TopicSubscription { Routes = new() }).Rules);
        Assert.Equal([new RouteRule("", "")], AppSubscriptions.Read(new TopicSubscription()).Rules);
    }

    [Theory]
    [InlineData("/orders/", "/orders")]
    [InlineData("orders//new", "/orders/new")]
    [InlineData("/a/./b/../c", "/a/c")]
    [InlineData(".", "/")]
    public async Task A_route_is_called_without_slashes_and_dots_that_mean_nothing_as_Go_cleans_it(string route, string called)
    {
        await using var app = await TestApp.StartAsync(StatusCodes.Status200OK);
        await using var dapr = await Sidecars.StartAsync(App(app.Port, Declared(route)));
        await dapr.Ready.WaitAsync(Cancellation);
        await PublishAsync(dapr, "1");

        string call;
        do
        {
            call = await app.NextCallAsync();
        }
        while (!call.StartsWith("POST", StringComparison.Ordinal));

        Assert.Equal($"POST {called}", call);
    }

    /// <summary>No answer that can be read is no answer: daprd then starts nothing, the declared subscriptions included, until the application is well again.</summary>
    [Theory]
    [InlineData("{}")]
    [InlineData("""[{"pubsubname":"pubsub","topic":"own","route":"/own"},{"pubsubname":"pubsub","topic":"b","routes":{"rules":[{"match":"event.type ==","path":"/b"}]}}]""")]
    public async Task Where_the_answer_cannot_be_used_no_subscription_starts_until_the_application_was_ill_and_is_well(string answer)
    {
        var isIll = false;
        var bodies = new ConcurrentQueue<string>();
        await using var app = await TestApp.StartAsync(async context =>
        {
            if (HttpMethods.IsPost(context.Request.Method))
                bodies.Enqueue((string)(await JsonNode.ParseAsync(context.Request.Body, cancellationToken: Cancellation))!["data"]!);
            context.Response.StatusCode = context.Request.Path == "/live" && Volatile.Read(ref isIll) ? 500 : context.Request.Path == "/dapr/config" ? 404 : 200;
            if (context.Request.Path == "/dapr/subscribe")
                await context.Response.WriteAsync(answer, Cancellation);
        });
        var check = new AppHealthCheck("/live", TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(30), 1);
        await using var dapr = await Sidecars.StartAsync(App(app.Port, Declared("/orders")) with { AppHealthCheck = check });
        await dapr.Ready.WaitAsync(Cancellation);
        await PublishAsync(dapr, "before");

        Volatile.Write(ref isIll, true);
        while (dapr["one"].Runtime.App!.IsHealthy)
            await app.NextCallAsync();
        Volatile.Write(ref isIll, false);
        var call = "";
        while (!call.StartsWith("POST", StringComparison.Ordinal))
        {
            // Until the subscription has begun, the broker gives what is published to nobody.
            await PublishAsync(dapr, "after");
            call = await app.NextCallAsync();
        }

        Assert.Equal("POST /orders", call);
        Assert.DoesNotContain("before", bodies);
    }

    private static SubscriptionResource Declared(string route) =>
        new("s", "pubsub", "orders", [new RouteRule("", route)], null, new Dictionary<string, string>(), null, [], default);

    private static SidecarOptions App(int port, SubscriptionResource declared) => Sidecars.App("one") with
    {
        AppPort = port,
        Resources = new([Sidecars.Component("pubsub", "pubsub.in-memory")], [declared], [], []),
    };

    private static async Task PublishAsync(EmbeddedDapr dapr, string what)
    {
        using var client = Sidecars.Http(dapr["one"]);
        using var published = await client.PostAsJsonAsync(new Uri("/v1.0/publish/pubsub/orders", UriKind.Relative), what, Cancellation);
        published.EnsureSuccessStatusCode();
    }
}
