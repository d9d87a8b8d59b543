using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using Dapr.Client.Autogen.Grpc.v1;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Http;

namespace DaprOrders.Sidecar.Tests.Hosting;

/// <summary>The HTTP port speaks HTTP/1.1, and HTTP/2 to whoever begins with it, as daprd's does (h2c by prior knowledge).</summary>
public sealed class H2cTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_api_and_the_applications_are_there_over_http_2_as_over_http_1()
    {
        await using var app = await TestApp.StartAsync(context => context.Response.WriteAsync($"{context.Request.Protocol} {context.Request.Path}", Cancellation));
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("store", "state.in-memory")) with { AppPort = app.Port });
        await dapr.Ready.WaitAsync(Cancellation);
        using var http2 = Http2(dapr["one"]);
        using var http1 = Sidecars.Http(dapr["one"]);

        using var saved = await http2.PostAsJsonAsync("/v1.0/state/store", new[] { new { key = "a", value = "1" } }, Cancellation);
        Assert.Equal((HttpVersion.Version20, HttpStatusCode.NoContent), (saved.Version, saved.StatusCode));
        Assert.Equal("\"1\"", await http1.GetStringAsync(new Uri("/v1.0/state/store/a", UriKind.Relative), Cancellation));
        var answers = await Task.WhenAll(Enumerable.Range(0, 20).Select(n =>
            http2.GetStringAsync(new Uri($"/v1.0/invoke/one/method/{n}", UriKind.Relative), Cancellation)));

        Assert.Equal(Enumerable.Range(0, 20).Select(n => $"HTTP/1.1 /{n}"), answers);
        using var unknown = await http2.GetAsync(new Uri("/nowhere", UriKind.Relative), Cancellation);
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Contains("ERR_DIRECT_INVOKE", await unknown.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_over_the_limit_and_a_missing_token_are_refused_alike()
    {
        await using var dapr = await Sidecars.StartAsync(
            Sidecars.App("one", Sidecars.Component("store", "state.in-memory")) with { ApiToken = "in", MaxBodyBytes = 1024 });
        using var http = Http2(dapr["one"]);
        using var large = new StringContent($$"""[{"key": "a", "value": "{{new string('x', 2000)}}"}]""");

        using var refused = await http.PostAsync(new Uri("/v1.0/state/store", UriKind.Relative), large, Cancellation);
        Assert.Equal(HttpStatusCode.Unauthorized, refused.StatusCode);
        http.DefaultRequestHeaders.Add("dapr-api-token", "in");
        using var again = new StringContent(await large.ReadAsStringAsync(Cancellation));
        using var tooLarge = await http.PostAsync(new Uri("/v1.0/state/store", UriKind.Relative), again, Cancellation);

        Assert.Equal(HttpStatusCode.BadRequest, tooLarge.StatusCode);
        Assert.Contains("stream too large", await tooLarge.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task There_is_no_grpc_on_the_http_port_and_no_http_on_the_grpc_port()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        using var channel = GrpcChannel.ForAddress(dapr["one"].HttpEndpoint);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        using var http = new HttpClient { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };

        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await client.GetMetadataAsync(new GetMetadataRequest(), cancellationToken: Cancellation));
        using var answer = await http.GetAsync(new Uri(dapr["one"].GrpcEndpoint + "/v1.0/metadata"), Cancellation);

        Assert.Equal(StatusCode.Unimplemented, refusal.StatusCode);
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, answer.StatusCode);
    }

    [Fact]
    public async Task Where_it_is_disabled_http_2_is_refused_and_http_1_answered()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { DisableH2c = true });
        using var http2 = Http2(dapr["one"]);
        using var http1 = Sidecars.Http(dapr["one"]);

        await Assert.ThrowsAsync<HttpRequestException>(() => http2.GetAsync(new Uri("/v1.0/healthz", UriKind.Relative), Cancellation));
        using var answer = await http1.GetAsync(new Uri("/v1.0/metadata", UriKind.Relative), Cancellation);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Theory]
    [InlineData("P|UT /v1.0/metadata/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n|Connection: close\r\n\r\nx", "HTTP/1.1 204")]
    [InlineData("PRI|NT /v1.0/metadata HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "HTTP/1.1 404")]
    public async Task What_comes_in_pieces_and_begins_like_http_2_is_still_what_it_is(string pieces, string answer)
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        using var client = new TcpClient { NoDelay = true };
        await client.ConnectAsync(IPAddress.Loopback, dapr["one"].HttpPort, Cancellation);
        foreach (var piece in pieces.Split('|'))
        {
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(piece), Cancellation);
            await Task.Yield();
        }

        using var reader = new StreamReader(client.GetStream());
        Assert.StartsWith(answer, await reader.ReadLineAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Silent_and_idle_connections_do_not_hold_up_the_end()
    {
        var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        using var silent = new TcpClient();
        await silent.ConnectAsync(IPAddress.Loopback, dapr["one"].HttpPort, Cancellation);
        using var http = Http2(dapr["one"]);
        using var answer = await http.GetAsync(new Uri("/v1.0/metadata", UriKind.Relative), Cancellation);

        await dapr.DisposeAsync();

        Assert.Equal(0, await silent.GetStream().ReadAsync(new byte[1], Cancellation));
    }

    private static HttpClient Http2(SidecarHost sidecar) => new()
    {
        BaseAddress = new Uri(sidecar.HttpEndpoint),
        DefaultRequestVersion = HttpVersion.Version20,
        DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
    };
}
