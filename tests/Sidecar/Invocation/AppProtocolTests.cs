using System.Net;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.Launcher;
using Grpc.Core;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace DaprOrders.Sidecar.Tests.Invocation;

/// <summary>Applications that speak TLS or HTTP/2: they are called, asked at the start, and get their events. Any certificate is taken, as daprd does.</summary>
public sealed class AppProtocolTests
{
    private const string Subscriptions = """[{"pubsubname":"pubsub","topic":"orders","route":"/orders"}]""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(AppProtocol.Http, "HTTP/1.1 http")]
    [InlineData(AppProtocol.Https, "HTTP/1.1 https")]
    [InlineData(AppProtocol.H2c, "HTTP/2 http")]
    public async Task An_app_is_asked_called_and_given_its_events(AppProtocol protocol, string expected)
    {
        using var certificate = SelfSigned.Certificate();
        var delivered = new TaskCompletionSource<string>();
        await using var app = await TestApp.StartAsync(
            async context =>
            {
                if (context.Request.Path == "/dapr/subscribe")
                    await context.Response.WriteAsync(Subscriptions, Cancellation);
                else if (context.Request.Path == "/orders")
                    delivered.SetResult(Spoken(context));
                else if (context.Request.Path == "/echo")
                    await context.Response.WriteAsync($"{Spoken(context)} {await new StreamReader(context.Request.Body).ReadToEndAsync(Cancellation)}", Cancellation);
            },
            listen: listen =>
            {
                listen.Protocols = protocol == AppProtocol.H2c ? HttpProtocols.Http2 : HttpProtocols.Http1;
                if (protocol == AppProtocol.Https)
                    listen.UseHttps(certificate);
            });
        var options = Sidecars.App("shop", Sidecars.Component("pubsub", "pubsub.in-memory")) with { AppPort = app.Port, AppProtocol = protocol };
        await using var dapr = await Sidecars.StartAsync(options, Sidecars.App("caller"));
        await dapr.Ready;
        using var caller = Sidecars.Http(dapr["caller"]);
        using var own = Sidecars.Http(dapr["shop"]);

        using var called = await caller.PostAsync(new Uri("/v1.0/invoke/shop/method/echo", UriKind.Relative), new StringContent("hello"), Cancellation);
        using var published = await own.PostAsync(new Uri("/v1.0/publish/pubsub/orders", UriKind.Relative), new StringContent("x"), Cancellation);

        Assert.Equal($"{expected} hello", await called.Content.ReadAsStringAsync(Cancellation));
        Assert.Equal(HttpStatusCode.NoContent, published.StatusCode);
        Assert.Equal(expected, await delivered.Task.WaitAsync(Cancellation));
        var metadata = await own.GetStringAsync(new Uri("/v1.0/metadata", UriKind.Relative), Cancellation);
        Assert.Contains($"\"protocol\":\"{protocol.ToString().ToLowerInvariant()}\"", metadata, StringComparison.Ordinal);

        static string Spoken(HttpContext context) => $"{context.Request.Protocol} {context.Request.Scheme}";
    }

    [Fact]
    public async Task A_gRPC_app_may_speak_TLS()
    {
        using var certificate = SelfSigned.Certificate();
        await using var app = await ShopApp.StartAsync(listen: listen => listen.UseHttps(certificate));
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("shop") with { AppPort = app.Port, AppProtocol = AppProtocol.Grpcs }, Sidecars.App("caller"));
        await dapr.Ready;
        using var channel = Sidecars.Grpc(dapr["caller"]);

        var toShop = new CallOptions(new() { { "dapr-app-id", "shop" } }, cancellationToken: Cancellation);
        using var call = channel.CreateCallInvoker().AsyncUnaryCall(ShopApp.Get, null, toShop, new() { Value = "x" });

        Assert.Equal("got x", (await call).Value);
    }

    [Fact]
    public async Task The_health_of_an_app_is_asked_over_TLS_too()
    {
        using var certificate = SelfSigned.Certificate();
        var isHealthy = true;
        await using var app = await TestApp.StartAsync(
            context =>
            {
                context.Response.StatusCode = isHealthy ? 200 : 503;
                return Task.CompletedTask;
            },
            listen: listen => listen.UseHttps(certificate));
        var check = new AppHealthCheck("/healthz", TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(5), 1);
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("shop") with { AppPort = app.Port, AppProtocol = AppProtocol.Https, AppHealthCheck = check });
        await dapr.Ready;
        await Eventually.HoldsAsync(() => dapr["shop"].Runtime.App!.IsHealthy, "the app is healthy");

        isHealthy = false;

        await Eventually.HoldsAsync(() => !dapr["shop"].Runtime.App!.IsHealthy, "the app is ill");
    }
}
