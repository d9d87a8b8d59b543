using System.Net;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.Hosting;

/// <summary>readBufferSize: how large headers may be, of requests and of an application's answers.</summary>
public sealed class ReadBufferTests
{
    private const int Kibi = 1024;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>Go reads 4 KiB more than it is told.</summary>
    [Theory]
    [InlineData(null, 30, HttpStatusCode.NoContent)]
    [InlineData(null, 40, HttpStatusCode.RequestHeaderFieldsTooLarge)]
    [InlineData(1, 4, HttpStatusCode.NoContent)]
    [InlineData(1, 6, HttpStatusCode.RequestHeaderFieldsTooLarge)]
    [InlineData(64, 66, HttpStatusCode.NoContent)]
    [InlineData(64, 70, HttpStatusCode.RequestHeaderFieldsTooLarge)]
    public async Task A_request_whose_headers_are_larger_is_refused(int? limit, int size, HttpStatusCode expected)
    {
        await using var dapr = await Sidecars.StartAsync(App(limit));
        using var client = Sidecars.Http(dapr["one"]);
        client.DefaultRequestHeaders.Add("X-Large", new string('x', size * Kibi));

        using var answer = await client.GetAsync(new Uri("/v1.0/state/store/a", UriKind.Relative), Cancellation);

        Assert.Equal(expected, answer.StatusCode);
    }

    [Fact]
    public async Task A_long_address_counts_as_headers_do()
    {
        await using var dapr = await Sidecars.StartAsync(App(64));
        using var client = Sidecars.Http(dapr["one"]);

        using var taken = await client.GetAsync(new Uri($"/v1.0/state/store/a?x={new string('x', 60 * Kibi)}", UriKind.Relative), Cancellation);

        Assert.Equal(HttpStatusCode.NoContent, taken.StatusCode);
    }

    [Fact]
    public async Task Metadata_of_gRPC_are_not_held_to_a_small_one_and_profit_from_a_large_one()
    {
        await using var dapr = await Sidecars.StartAsync(App(1), App(64) with { AppId = "two" });
        foreach (var (app, size) in new[] { ("one", 20), ("two", 60) })
        {
            using var channel = Sidecars.Grpc(dapr[app]);
            await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).GetStateAsync(
                new() { StoreName = "store", Key = "a" }, new CallOptions(new() { { "x-large", new string('x', size * Kibi) } }, cancellationToken: Cancellation));
        }
    }

    [Theory]
    [InlineData(4, 3, HttpStatusCode.OK)]
    [InlineData(4, 6, HttpStatusCode.InternalServerError)]
    [InlineData(128, 100, HttpStatusCode.OK)]
    public async Task An_answer_of_the_application_whose_headers_are_larger_is_none(int limit, int size, HttpStatusCode expected)
    {
        await using var app = await TestApp.StartAsync(context =>
        {
            if (context.Request.Path == "/large")
                context.Response.Headers["X-Large"] = new string('x', size * Kibi);
            return Task.CompletedTask;
        });
        await using var dapr = await Sidecars.StartAsync(App(limit) with { AppPort = app.Port });
        await dapr.Ready;
        using var client = new HttpClient(new SocketsHttpHandler { MaxResponseHeadersLength = 120 }) { BaseAddress = new($"http://127.0.0.1:{dapr["one"].HttpPort}") };

        using var answer = await client.GetAsync(new Uri("/v1.0/invoke/one/method/large", UriKind.Relative), Cancellation);

        Assert.Equal(expected, answer.StatusCode);
    }

    private static SidecarOptions App(int? limit) =>
        Sidecars.App("one", Sidecars.Component("store", "state.in-memory")) with { ReadBufferBytes = limit * Kibi };
}
