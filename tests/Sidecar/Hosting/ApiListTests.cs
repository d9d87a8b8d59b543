using System.Net;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Resources;
using EmbeddedSidecar.Resources;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.Hosting;

/// <summary>A deny never fails open: neither by an entry that matches nothing, nor by a request that looks like something else.</summary>
public sealed class ApiListTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("denied", "{name: publish, version: v1.0}", "protocol: expected http or grpc, got nothing: Dapr would pass over this entry, and deny nothing")]
    [InlineData("allowed", "{name: state, version: v1.0}", "protocol: expected http or grpc, got nothing: Dapr would pass over this entry, and allow everything")]
    [InlineData("denied", "{name: state, protocol: http}", "version: expected v1.0 or v1.0-alpha1 for state over http, got nothing")]
    [InlineData("denied", "{name: State, version: v1.0, protocol: http}", "got \"State\"")]
    [InlineData("denied", "{name: state, version: V1.0, protocol: http}", "got \"V1.0\"")]
    [InlineData("denied", "{name: state, version: v1.0, protocol: HTTP}", "protocol: expected http or grpc, got \"HTTP\"")]
    [InlineData("denied", "{name: state, version: v1.0, protocol: https}", "protocol: expected http or grpc, got \"https\"")]
    [InlineData("denied", "{name: nonsense, version: v1.0, protocol: http}", "got \"nonsense\"")]
    [InlineData("denied", "{name: stat, version: v1.0, protocol: http}", "got \"stat\"")]
    [InlineData("denied", "{name: state, version: v9, protocol: http}", "got \"v9\"")]
    [InlineData("denied", "{name: state, version: v1.0, protocol: grpc}", "version: expected v1 or v1alpha1 for state over grpc, got \"v1.0\"")]
    [InlineData("denied", "{name: healthz, version: v1.0, protocol: http}", "health cannot be denied")]
    public void An_entry_that_would_match_nothing_stops_the_start(string list, string entry, string expected)
    {
        using var folder = new ResourceFolder().With("config.yaml", $"""
            apiVersion: dapr.io/v1alpha1
            kind: Configuration
            spec:
              api: ( {list}: [{entry}] )
            """.Replace('(', '{').Replace(')', '}'));

        var refusal = Assert.Throws<ResourceException>(() => ResourceLoader.LoadConfiguration(Path.Combine(folder.Path, "config.yaml")));

        Assert.Contains("config.yaml:4: spec.api." + list, refusal.Message, StringComparison.Ordinal);
        Assert.Contains(expected, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nor_does_one_that_code_has_made()
    {
        var configuration = ConfigurationResource.Default with { DeniedApis = [new ApiRule("state", "v1.0", "")] };

        await Assert.ThrowsAsync<ResourceException>(() => Sidecars.StartAsync(Sidecars.App("one") with { Configuration = configuration }));
    }

    [Theory]
    [InlineData("/v1.0/state/store/a")]
    [InlineData("/V1.0/State/store/a")]
    [InlineData("//v1.0//state//store//a")]
    [InlineData("/v1.0/./state/store/a")]
    [InlineData("/%76%31.0/st%61te/store/a")]
    public async Task What_is_denied_is_no_route_however_it_is_written(string path)
    {
        await using var dapr = await StartAsync(new ApiRule("state", "v1", "http"));
        using var http = Sidecars.Http(dapr["one"]);
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri($"http://127.0.0.1:{dapr["one"].HttpPort}{path}", new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        request.Content = new ByteArrayContent([]) { Headers = { ContentType = new("application/grpc") } };

        using var answer = await http.SendAsync(request, Cancellation);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
    }

    [Theory]
    [InlineData("application/grpc")]
    [InlineData("application/json")]
    public async Task The_grpc_port_has_no_routes_of_http(string contentType)
    {
        await using var dapr = await StartAsync(new ApiRule("state", "v1.0", "http"));
        using var http = new HttpClient { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri($"http://127.0.0.1:{dapr["one"].GrpcPort}/v1.0/state/store")) { Version = HttpVersion.Version20 };
        request.Content = new ByteArrayContent("""[{"key":"a","value":1}]"""u8.ToArray()) { Headers = { ContentType = new(contentType) } };

        using var answer = await http.SendAsync(request, Cancellation);
        using var channel = Sidecars.Grpc(dapr["one"]);
        var state = await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).GetStateAsync(new GetStateRequest { StoreName = "store", Key = "a" }, cancellationToken: Cancellation);

        Assert.NotEqual(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.Empty(state.Data);
    }

    [Fact]
    public async Task A_group_of_grpc_is_denied_method_by_method()
    {
        await using var dapr = await StartAsync(new ApiRule("lock", "v1alpha1", "grpc"));
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await client.TryLockAlpha1Async(new TryLockRequest(), cancellationToken: Cancellation));

        Assert.Equal(StatusCode.Unimplemented, refusal.StatusCode);
    }

    private static Task<EmbeddedDapr> StartAsync(ApiRule denied) => Sidecars.StartAsync(
        Sidecars.App("one", Sidecars.Component("store", "state.in-memory")) with { Configuration = ConfigurationResource.Default with { DeniedApis = [denied] } });
}
