using System.Net;
using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Resources;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Invocation;

/// <summary>spec.accessControl of the called application's Configuration, and what a caller is told that it refuses.</summary>
public sealed class AccessControlTests
{
    /// <summary>Its daprd would know the caller by a certificate; here the sidecars know each other.</summary>
    private const string Refusal = "access control policy has denied access to id: spiffe://public/ns/default/caller operation: {0} verb: {1}";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_call_over_HTTP_goes_where_the_policy_of_its_caller_lets_it()
    {
        await using var shop = await TestApp.StartAsync(context => context.Response.WriteAsync(context.Request.Path));
        await using var dapr = await StartAsync(Sidecars.App("shop") with { AppPort = shop.Port });
        using var caller = Sidecars.Http(dapr["caller"]);

        Assert.Equal("/orders/1", await caller.GetStringAsync(Method("orders/1"), Cancellation));
        Assert.Equal("/ORDERS/1", await caller.GetStringAsync(Method("ORDERS/1"), Cancellation));
        Assert.Equal("/orders/1", await caller.GetStringAsync(Method("admin%2F..%2Forders%2F1"), Cancellation));
        await AssertRefusedAsync(await caller.PostAsync(Method("orders/1"), null, Cancellation), "orders/1", "POST");
        await AssertRefusedAsync(await caller.GetAsync(Method("admin"), Cancellation), "admin", "GET");
        await AssertRefusedAsync(await caller.GetAsync(Method("orders%2F..%2Fadmin?x=1"), Cancellation), "admin", "GET");

        using var other = Sidecars.Http(dapr["other"]);
        Assert.Equal(HttpStatusCode.Forbidden, (await other.GetAsync(Method("orders/1"), Cancellation)).StatusCode);
        using var own = Sidecars.Http(dapr["shop"]);
        Assert.Equal("/admin", await own.GetStringAsync(Method("admin"), Cancellation));
    }

    [Fact]
    public async Task What_is_refused_is_no_call_of_the_application()
    {
        await using var shop = await TestApp.StartAsync(context => context.Response.WriteAsync(""));
        await using var dapr = await StartAsync(Sidecars.App("shop") with { AppPort = shop.Port });
        using var caller = Sidecars.Http(dapr["caller"]);

        await AssertRefusedAsync(await caller.PostAsync(Method("admin"), new StringContent("{}"), Cancellation), "admin", "POST");
        await caller.GetAsync(Method("orders/1"), Cancellation);

        string call;
        do
            call = await shop.NextCallAsync();
        while (call.Contains("/dapr/", StringComparison.Ordinal));
        Assert.Equal("GET /orders/1", call);
    }

    [Fact]
    public async Task Forged_headers_make_nobody_somebody_else()
    {
        await using var shop = await TestApp.StartAsync(context => context.Response.WriteAsync(""));
        await using var dapr = await StartAsync(Sidecars.App("shop") with { AppPort = shop.Port });
        using var other = Sidecars.Http(dapr["other"]);
        other.DefaultRequestHeaders.Add("dapr-caller-app-id", "caller");

        Assert.Equal(HttpStatusCode.Forbidden, (await other.GetAsync(Method("orders/1"), Cancellation)).StatusCode);
    }

    [Fact]
    public async Task A_policy_of_retries_sees_a_refusal_as_any_other_failure()
    {
        await using var shop = await TestApp.StartAsync(context => context.Response.WriteAsync(""));
        var breaker = ResourceLoader.Read("""
            apiVersion: dapr.io/v1alpha1
            kind: Resiliency
            metadata: {name: r}
            spec:
              policies: {circuitBreakers: {once: {maxRequests: 1, timeout: 1h, trip: consecutiveFailures >= 1}}}
              targets: {apps: {shop: {circuitBreaker: once}}}
            """);
        await using var dapr = await StartAsync(Sidecars.App("shop") with { AppPort = shop.Port }, breaker);
        using var caller = Sidecars.Http(dapr["caller"]);

        await AssertRefusedAsync(await caller.GetAsync(Method("admin"), Cancellation), "admin", "GET");
        using var next = await caller.GetAsync(Method("admin"), Cancellation);

        Assert.Contains("circuit breaker is open", await next.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_caller_of_another_trust_domain_or_namespace_is_another_one()
    {
        await using var shop = await TestApp.StartAsync(context => context.Response.WriteAsync(""));
        var elsewhere = ConfigurationResource.Default with { AccessControl = new(Allows: true, "elsewhere", []) };
        await using var dapr = await Sidecars.StartAsync(
            Sidecars.App("shop") with { AppPort = shop.Port, Configuration = Table() },
            Sidecars.App("caller") with { Configuration = elsewhere });
        await dapr.Ready;
        using var caller = Sidecars.Http(dapr["caller"]);

        using var answer = await caller.GetAsync(Method("orders/1"), Cancellation);

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains("id: spiffe://elsewhere/ns/default/caller operation", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task InvokeService_tells_the_refusal_as_an_internal_error()
    {
        await using var shop = await TestApp.StartAsync(context => context.Response.WriteAsync(""));
        await using var dapr = await StartAsync(Sidecars.App("shop") with { AppPort = shop.Port });
        using var channel = Sidecars.Grpc(dapr["caller"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        await client.InvokeServiceAsync(Request("orders/1"), cancellationToken: Cancellation);
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await client.InvokeServiceAsync(Request("admin"), cancellationToken: Cancellation));

        Assert.Equal(StatusCode.Internal, refused.StatusCode);
        Assert.Equal($"failed to invoke, id: shop, err: rpc error: code = PermissionDenied desc = {Text("admin", "GET")}", refused.Status.Detail);
    }

    [Fact]
    public async Task A_service_of_gRPC_is_guarded_by_the_names_of_its_methods_also_towards_its_own_sidecar()
    {
        await using var shop = await ShopApp.StartAsync();
        await using var dapr = await StartAsync(Sidecars.App("shop") with { AppPort = shop.Port, AppProtocol = AppProtocol.Grpc });
        using var channel = Sidecars.Grpc(dapr["caller"]);
        using var own = Sidecars.Grpc(dapr["shop"]);

        Assert.Equal("got x", (await GetAsync(channel)).Value);
        using var counting = channel.CreateCallInvoker().AsyncClientStreamingCall(ShopApp.Count, null, ToShop());
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await counting);
        var refusedToItself = await Assert.ThrowsAsync<RpcException>(() => GetAsync(own));

        Assert.Equal((StatusCode.PermissionDenied, Text("/shop.Orders/Count", "NONE")), (refused.StatusCode, refused.Status.Detail));
        Assert.Equal(
            (StatusCode.PermissionDenied, "access control policy has denied access to id:  operation: /shop.Orders/Get verb: NONE"),
            (refusedToItself.StatusCode, refusedToItself.Status.Detail));
        Assert.Equal(1, shop.Calls);

        static async Task<StringValue> GetAsync(Grpc.Net.Client.GrpcChannel channel) =>
            await channel.CreateCallInvoker().AsyncUnaryCall(ShopApp.Get, null, ToShop(), new() { Value = "x" });
    }

    [Fact]
    public async Task OnInvoke_is_guarded_by_the_method_that_it_is_asked_for()
    {
        await using var shop = await ShopApp.StartAsync();
        await using var dapr = await StartAsync(Sidecars.App("shop") with { AppPort = shop.Port, AppProtocol = AppProtocol.Grpc });
        using var caller = Sidecars.Http(dapr["caller"]);
        using var channel = Sidecars.Grpc(dapr["caller"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        // The application has no OnInvoke: what is let through comes back as Unimplemented.
        Assert.Equal(HttpStatusCode.NotImplemented, (await caller.GetAsync(Method("orders/1"), Cancellation)).StatusCode);
        await AssertRefusedAsync(await caller.GetAsync(Method("Orders/1"), Cancellation), "Orders/1", "NONE");
        var passed = await Assert.ThrowsAsync<RpcException>(async () => await client.InvokeServiceAsync(Request("orders/1"), cancellationToken: Cancellation));
        var refused = await Assert.ThrowsAsync<RpcException>(async () => await client.InvokeServiceAsync(Request("admin"), cancellationToken: Cancellation));

        Assert.Equal(StatusCode.Unimplemented, passed.StatusCode);
        Assert.Equal(StatusCode.Internal, refused.StatusCode);
        Assert.Contains(Text("admin", "NONE"), refused.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Whether_an_application_is_ill_is_told_to_those_alone_who_may_call_it()
    {
        await using var shop = await TestApp.StartAsync(StatusCodes.Status503ServiceUnavailable);
        await using var dapr = await StartIllAsync(Sidecars.App("shop") with { AppPort = shop.Port });
        using var caller = Sidecars.Http(dapr["caller"]);
        using var own = Sidecars.Http(dapr["shop"]);

        await AssertRefusedAsync(await caller.GetAsync(Method("admin"), Cancellation), "admin", "GET");
        Assert.Equal(
            "rpc error: code = Internal desc = error invoking app channel: rpc error: code = Internal desc = app is not in a healthy state", await IllnessAsync(caller));
        Assert.Equal("rpc error: code = Internal desc = app is not in a healthy state", await IllnessAsync(own));

        static async Task<string> IllnessAsync(HttpClient client)
        {
            using var answer = await client.GetAsync(Method("orders/1"), Cancellation);
            Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
            using var body = JsonDocument.Parse(await answer.Content.ReadAsStringAsync(Cancellation));
            return body.RootElement.GetProperty("message").GetString()!.Replace("failed to invoke, id: shop, err: ", "", StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task A_call_that_is_tried_again_finds_the_application_that_has_got_well_meanwhile()
    {
        var probes = 0;
        await using var shop = await TestApp.StartAsync(context =>
        {
            // It is asked again and again, and well from the third time on.
            context.Response.StatusCode = context.Request.Path == "/live" && Interlocked.Increment(ref probes) < 3 ? 503 : 200;
            return context.Response.WriteAsync("here");
        });
        var patience = ResourceLoader.Read("""
            apiVersion: dapr.io/v1alpha1
            kind: Resiliency
            metadata: {name: r}
            spec:
              policies: {retries: {often: {policy: constant, duration: 20ms, maxRetries: -1}}}
              targets: {apps: {shop: {retry: often}}}
            """);
        await using var dapr = await StartIllAsync(Sidecars.App("shop") with { AppPort = shop.Port }, TimeSpan.FromMilliseconds(50), patience);
        using var caller = Sidecars.Http(dapr["caller"]);

        Assert.Equal("here", await caller.GetStringAsync(Method("orders/1"), Cancellation));
    }

    [Fact]
    public async Task A_proxied_call_is_decided_and_then_passed_to_an_application_that_is_ill()
    {
        // It has no HealthCheck, which is to be ill.
        await using var shop = await ShopApp.StartAsync();
        await using var dapr = await StartIllAsync(Sidecars.App("shop") with { AppPort = shop.Port, AppProtocol = AppProtocol.Grpc });
        using var channel = Sidecars.Grpc(dapr["caller"]);

        Assert.Equal("got x", (await channel.CreateCallInvoker().AsyncUnaryCall(ShopApp.Get, null, ToShop(), new() { Value = "x" })).Value);
        using var counting = channel.CreateCallInvoker().AsyncClientStreamingCall(ShopApp.Count, null, ToShop());
        Assert.Equal(StatusCode.PermissionDenied, (await Assert.ThrowsAsync<RpcException>(async () => await counting)).StatusCode);
    }

    private static ConfigurationResource Table() => ConfigurationResource.Default with
    {
        AccessControl = new(Allows: false, "public",
        [
            new("caller", "public", "default", null,
            [
                new("/orders/*", ["GET"], Allows: true),
                new("/shop.Orders/Get", [], Allows: true),
            ]),
        ]),
    };

    private static async Task<EmbeddedDapr> StartAsync(SidecarOptions shop, ResourceSet? ofCaller = null)
    {
        var dapr = await Sidecars.StartAsync(
            shop with { Configuration = Table() }, Sidecars.App("caller") with { Resources = ofCaller ?? ResourceSet.Empty }, Sidecars.App("other"));
        await dapr.Ready;
        return dapr;
    }

    /// <summary>An application that has not been well yet; not waited for.</summary>
    private static Task<EmbeddedDapr> StartIllAsync(SidecarOptions shop, TimeSpan? askAgain = null, ResourceSet? ofCaller = null) => Sidecars.StartAsync(
        shop with { Configuration = Table(), AppHealthCheck = new("/live", askAgain ?? TimeSpan.FromHours(1), TimeSpan.FromSeconds(30), 1) },
        Sidecars.App("caller") with { Resources = ofCaller ?? ResourceSet.Empty });

    private static Uri Method(string path) => new($"/v1.0/invoke/shop/method/{path}", UriKind.Relative);

    private static InvokeServiceRequest Request(string method) => new()
    {
        Id = "shop",
        Message = new() { Method = method, HttpExtension = new() { Verb = HTTPExtension.Types.Verb.Get } },
    };

    private static CallOptions ToShop() => new(new() { { "dapr-app-id", "shop" } }, cancellationToken: Cancellation);

    private static string Text(string operation, string verb) =>
        Refusal.Replace("{0}", operation, StringComparison.Ordinal).Replace("{1}", verb, StringComparison.Ordinal);

    private static async Task AssertRefusedAsync(HttpResponseMessage answer, string operation, string verb)
    {
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Equal(
            $$"""{"errorCode":"ERR_DIRECT_INVOKE","message":"failed to invoke, id: shop, err: rpc error: code = PermissionDenied desc = {{Text(operation, verb)}}"}""",
            await answer.Content.ReadAsStringAsync(Cancellation));
        answer.Dispose();
    }
}
