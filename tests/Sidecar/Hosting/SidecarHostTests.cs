using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Api;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resources;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.Hosting;

public sealed class SidecarHostTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_application_is_asked_for_its_configuration_once_its_port_is_open()
    {
        await using var app = await TestApp.StartAsync(context => context.Response.WriteAsync("""{"entities":["Cart"]}"""));
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { AppPort = app.Port, AppApiToken = "out" });
        await dapr.Ready.WaitAsync(Cancellation);

        Assert.Equal("GET /dapr/config", await app.NextCallAsync());
        Assert.Equal("one", app.LastHeaders["dapr-app-id"]);
        Assert.Equal("out", app.LastHeaders["dapr-api-token"]);
        Assert.Equal("Cart", dapr["one"].Runtime.AppConfiguration!.Value.GetProperty("entities")[0].GetString());
    }

    [Fact]
    public async Task An_application_may_come_late_and_can_wait_for_its_sidecar_meanwhile()
    {
        var port = FreePort.Next();
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { AppPort = port });

        Assert.Equal(HttpStatusCode.NoContent, await StatusAsync(dapr, "/v1.0/healthz/outbound"));
        Assert.Equal(HttpStatusCode.InternalServerError, await StatusAsync(dapr, "/v1.0/healthz"));
        await using var app = await TestApp.StartAsync(port: port);
        await dapr.Ready.WaitAsync(Cancellation);

        Assert.Equal(HttpStatusCode.NoContent, await StatusAsync(dapr, "/v1.0/healthz"));
    }

    [Fact]
    public async Task An_application_that_fails_its_health_checks_gets_no_work_until_it_is_healthy()
    {
        var failures = 0;
        await using var app = await TestApp.StartAsync(context =>
        {
            context.Response.StatusCode = context.Request.Path != "/live" ? 404 : Interlocked.Decrement(ref failures) >= 0 ? 500 : 200;
            return Task.CompletedTask;
        });
        var check = new AppHealthCheck("/live", TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(5), 2);
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { AppPort = app.Port, AppHealthCheck = check });
        await dapr.Ready.WaitAsync(Cancellation);
        var channel = dapr["one"].Runtime.App!;
        Assert.True(channel.IsHealthy);

        Volatile.Write(ref failures, int.MaxValue);
        while (channel.IsHealthy)
            await app.NextCallAsync();
        Volatile.Write(ref failures, 0);
        while (!channel.IsHealthy)
            await app.NextCallAsync();

        Assert.True(Volatile.Read(ref failures) < 0);
    }

    [Fact]
    public async Task A_health_check_that_succeeds_now_and_then_does_not_start_the_count_of_failures_anew()
    {
        var probes = 0;
        await using var app = await TestApp.StartAsync(context =>
        {
            context.Response.StatusCode = context.Request.Path != "/live" ? 404 : Interlocked.Increment(ref probes) % 2 == 0 ? 500 : 200;
            return Task.CompletedTask;
        });
        var check = new AppHealthCheck("/live", TimeSpan.FromMilliseconds(5), TimeSpan.FromSeconds(5), 3);
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { AppPort = app.Port, AppHealthCheck = check });
        await dapr.Ready.WaitAsync(Cancellation);
        var channel = dapr["one"].Runtime.App!;

        // It is ill for one interval, after the third failure.
        while (channel.IsHealthy)
        {
            await app.NextCallAsync();
            Assert.True(Volatile.Read(ref probes) < 200, "three of six health checks failed again and again, and it is taken for healthy");
        }
    }

    [Fact]
    public async Task Health_checks_keep_their_beat_however_long_one_takes()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        var answers = Channel.CreateUnbounded<bool>();
        await using var app = await TestApp.StartAsync(async context =>
        {
            if (context.Request.Path == "/live")
                await answers.Reader.ReadAsync(Cancellation);
            context.Response.StatusCode = context.Request.Path == "/live" ? 200 : 404;
        });
        var check = new AppHealthCheck("/live", TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(5), 3);
        await using var dapr = await EmbeddedDapr.StartAsync(new() { Apps = [Sidecars.App("one") with { AppPort = app.Port, AppHealthCheck = check }], Time = time }, Cancellation);
        answers.Writer.TryWrite(true);
        await dapr.Ready.WaitAsync(Cancellation);
        foreach (var call in new[] { "GET /live", "GET /dapr/config" })
            Assert.Equal(call, await app.NextCallAsync());

        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("GET /live", await app.NextCallAsync());
        time.Advance(TimeSpan.FromSeconds(0.5));
        answers.Writer.TryWrite(true);
        time.Advance(TimeSpan.FromSeconds(0.5));
        answers.Writer.TryWrite(true);

        Assert.Equal("GET /live", await app.NextCallAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(1), Cancellation));
    }

    [Fact]
    public async Task No_more_calls_than_appMaxConcurrency_are_under_way_at_once()
    {
        var underWay = 0;
        var most = 0;
        await using var app = await TestApp.StartAsync(async context =>
        {
            var now = Interlocked.Increment(ref underWay);
            InterlockedMax(ref most, now);
            await Task.Yield();
            Interlocked.Decrement(ref underWay);
            context.Response.StatusCode = 200;
        });
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { AppPort = app.Port, AppMaxConcurrency = 2 });
        await dapr.Ready.WaitAsync(Cancellation);
        var channel = dapr["one"].Runtime.App!;

        await Task.WhenAll(Enumerable.Range(0, 50).Select(async _ =>
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/work", UriKind.Relative));
            using var response = await channel.SendAsync(request, Cancellation);
        }));

        Assert.InRange(most, 1, 2);
    }

    [Theory]
    [InlineData(AppProtocol.Http)]
    [InlineData(AppProtocol.Grpc)]
    public async Task An_application_that_is_busy_with_all_that_appMaxConcurrency_lets_through_is_still_asked_for_its_health(AppProtocol protocol)
    {
        var isDone = new TaskCompletionSource();
        await using var app = await TestApp.StartAsync(
            async context =>
            {
                if (context.Request.Path.Value is "/work" or "/dapr.proto.runtime.v1.AppCallback/OnInvoke")
                    await isDone.Task.WaitAsync(context.RequestAborted);
                if (protocol == AppProtocol.Http)
                    return;
                context.Response.ContentType = "application/grpc";
                context.Response.DeclareTrailer("grpc-status");
                await context.Response.Body.WriteAsync(new byte[5], context.RequestAborted);
                context.Response.AppendTrailer("grpc-status", "0");
            },
            listen: listen => listen.Protocols = protocol == AppProtocol.Http ? HttpProtocols.Http1 : HttpProtocols.Http2);
        var check = new AppHealthCheck("/live", TimeSpan.FromMilliseconds(20), TimeSpan.FromSeconds(5), 2);
        await using var dapr = await Sidecars.StartAsync(
            Sidecars.App("one") with { AppPort = app.Port, AppProtocol = protocol, AppHealthCheck = check, AppMaxConcurrency = 1 });
        await dapr.Ready.WaitAsync(Cancellation);
        var channel = dapr["one"].Runtime.App!;
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri("/work", UriKind.Relative));
        var work = channel.SendAsync(request, Cancellation);
        while (!(await app.NextCallAsync()).EndsWith(protocol == AppProtocol.Http ? "/work" : "/OnInvoke", StringComparison.Ordinal))
        {
        }

        for (var probes = 0; probes < 5; probes++)
            await app.NextCallAsync().AsTask().WaitAsync(TimeSpan.FromMinutes(2), Cancellation);

        Assert.True(channel.IsHealthy);
        Assert.False(work.IsCompleted);
        isDone.SetResult();
        using var answer = await work;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Theory]
    [InlineData("127.0.0.1", "::1")]
    [InlineData("::1", "127.0.0.1")]
    public async Task Both_apis_listen_on_the_given_address_alone(string given, string other)
    {
        if (!Socket.OSSupportsIPv6)
            Assert.Skip("This machine has no IPv6.");
        var app = Sidecars.App("one") with { ListenAddress = IPAddress.Parse(given), HttpPort = FreePort.Next(), GrpcPort = FreePort.Next() };
        await using var dapr = await Sidecars.StartAsync(app);
        using var http = new HttpClient { BaseAddress = new Uri(dapr["one"].HttpEndpoint) };
        using var channel = Grpc.Net.Client.GrpcChannel.ForAddress(dapr["one"].GrpcEndpoint);

        using var answer = await http.GetAsync(new Uri("/v1.0/metadata", UriKind.Relative), Cancellation);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("one", (await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).GetMetadataAsync(new(), cancellationToken: Cancellation)).Id);
        foreach (var port in new[] { app.HttpPort, app.GrpcPort })
            Assert.False(await AppChannel.AcceptsAsync(other, port, Cancellation), $"{other} accepts connections at {port}");
    }

    [Fact]
    public async Task Without_the_api_token_everything_but_health_is_refused()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { ApiToken = "in" });
        await dapr.Ready.WaitAsync(Cancellation);
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        Assert.Equal(HttpStatusCode.NoContent, await StatusAsync(dapr, "/v1.0/healthz"));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(dapr, "/v1.0/metadata"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(dapr, "/v1.0/metadata", "in"));
        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await client.GetMetadataAsync(new GetMetadataRequest(), cancellationToken: Cancellation));
        Assert.Equal(StatusCode.Unauthenticated, refusal.StatusCode);
        Assert.Equal("one", (await client.GetMetadataAsync(new GetMetadataRequest(), new Metadata { { "dapr-api-token", "in" } }, cancellationToken: Cancellation)).Id);
    }

    [Fact]
    public async Task Apis_that_are_not_allowed_do_not_exist()
    {
        var configuration = ConfigurationResource.Default with { AllowedApis = [new ApiRule("metadata", "v1.0", "http"), new ApiRule("state", "v1", "grpc")] };
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("store", "state.in-memory")) with { Configuration = configuration });
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(dapr, "/v1.0/metadata"));
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(dapr, "/v1.0/state/store/a"));
        await client.GetStateAsync(new GetStateRequest { StoreName = "store", Key = "a" }, cancellationToken: Cancellation);
        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await client.GetMetadataAsync(new GetMetadataRequest(), cancellationToken: Cancellation));
        Assert.Equal(StatusCode.Unimplemented, refusal.StatusCode);
    }

    [Fact]
    public async Task A_message_larger_than_the_limit_is_refused_by_grpc_and_the_connection_lives_on()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("store", "state.in-memory")));
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        var large = new SaveStateRequest { StoreName = "store", States = { new StateItem { Key = "a", Value = ByteString.CopyFrom(new byte[5 * 1024 * 1024]) } } };

        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await client.SaveStateAsync(large, cancellationToken: Cancellation));

        Assert.Equal(StatusCode.ResourceExhausted, refusal.StatusCode);
        Assert.Empty((await client.GetStateAsync(new GetStateRequest { StoreName = "store", Key = "a" }, cancellationToken: Cancellation)).Data);
    }

    [Fact]
    public async Task Health_is_asked_of_an_app_id_only_once_the_sidecar_is_ready_and_an_empty_one_is_none()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"), Sidecars.App("late") with { AppPort = FreePort.Next() });
        await dapr["one"].Ready;
        using var ready = Sidecars.Http(dapr["one"]);
        using var waiting = Sidecars.Http(dapr["late"]);

        Assert.Equal("204 ", await HealthAsync(ready, "?appid=one"));
        Assert.StartsWith("500 {\"errorCode\":\"ERR_HEALTH_APPID_NOT_MATCH\"", await HealthAsync(ready, "?appid=other"), StringComparison.Ordinal);
        Assert.StartsWith("500 {\"errorCode\":\"ERR_HEALTH_APPID_NOT_MATCH\"", await HealthAsync(ready, "?appid="), StringComparison.Ordinal);
        Assert.StartsWith("500 {\"errorCode\":\"ERR_HEALTH_NOT_READY\"", await HealthAsync(waiting, "?appid=other"), StringComparison.Ordinal);

        static async Task<string> HealthAsync(HttpClient client, string query)
        {
            using var answer = await client.GetAsync(new Uri("/v1.0/healthz" + query, UriKind.Relative), TestContext.Current.CancellationToken);
            return $"{(int)answer.StatusCode} {await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)}";
        }
    }

    [Theory]
    [InlineData(AppProtocol.Grpc, false)]
    [InlineData(AppProtocol.H2c, true)]
    public async Task The_metadata_tell_a_path_of_health_only_of_HTTP_and_always_the_version_that_this_is(AppProtocol protocol, bool hasPath)
    {
        var check = new AppHealthCheck("/well", TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(1), 3);
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { AppPort = FreePort.Next(), AppProtocol = protocol, AppHealthCheck = check });
        using var client = Sidecars.Http(dapr["one"]);
        using (await client.PutAsync(new Uri("/v1.0/metadata/daprRuntimeVersion", UriKind.Relative), new StringContent("mine"), TestContext.Current.CancellationToken))
        {
        }

        var metadata = await client.GetStringAsync(new Uri("/v1.0/metadata", UriKind.Relative), TestContext.Current.CancellationToken);

        Assert.Equal(hasPath, metadata.Contains("\"healthCheckPath\":\"/well\"", StringComparison.Ordinal));
        Assert.Contains("\"healthProbeInterval\"", metadata, StringComparison.Ordinal);
        Assert.Contains("\"extended\":{\"daprRuntimeVersion\":\"1.18.1\"}", metadata, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_method_that_does_not_exist_is_unimplemented()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        var refusal = await Assert.ThrowsAsync<RpcException>(async () => await client.SubtleGetKeyAlpha1Async(new SubtleGetKeyRequest(), cancellationToken: Cancellation));

        Assert.Equal(StatusCode.Unimplemented, refusal.StatusCode);
    }

    [Fact]
    public async Task The_application_can_end_its_sidecar()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one"));
        using var client = Sidecars.Http(dapr["one"]);

        using var answer = await client.PostAsync(new Uri("/v1.0/shutdown", UriKind.Relative), null, Cancellation);

        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        await dapr["one"].Stopped.WaitAsync(Cancellation);
        await Assert.ThrowsAsync<HttpRequestException>(() => StatusAsync(dapr, "/v1.0/healthz"));
    }

    [Theory]
    [InlineData("true")]
    [InlineData("TRUE")]
    public async Task The_application_can_end_its_sidecar_without_waiting_for_what_runs(string force)
    {
        var called = new TaskCompletionSource();
        await using var app = await TestApp.StartAsync(async context =>
        {
            if (context.Request.Path != "/slow")
                return;
            called.SetResult();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        });
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one") with { AppPort = app.Port });
        await dapr.Ready.WaitAsync(Cancellation);
        using var client = Sidecars.Http(dapr["one"]);
        var slow = client.GetAsync(new Uri("/v1.0/invoke/one/method/slow", UriKind.Relative), Cancellation);
        await called.Task.WaitAsync(Cancellation);
        client.DefaultRequestHeaders.Add("dapr-force-shutdown", force);
        var began = TimeProvider.System.GetTimestamp();

        using var answer = await client.PostAsync(new Uri("/v1.0/shutdown", UriKind.Relative), null, Cancellation);

        await dapr["one"].Stopped.WaitAsync(Cancellation);
        Assert.True(TimeProvider.System.GetElapsedTime(began) < SidecarHost.GracefulStop, "the call that runs was waited for");
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => slow);
    }

    [Theory]
    [InlineData("a+b", "a b")]
    [InlineData("a%2Bb", "a+b")]
    [InlineData("a%20b", "a b")]
    [InlineData("%2B+%2b", "+ +")]
    public async Task A_plus_sign_in_a_path_is_a_space_unless_it_is_escaped(string sent, string key)
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("store", "state.in-memory")));
        using var client = Sidecars.Http(dapr["one"]);
        using var saved = await client.PostAsync(
            new Uri("/v1.0/state/store", UriKind.Relative), new StringContent($$"""[{"key":"{{key}}","value":7}]""", System.Text.Encoding.UTF8, "application/json"), Cancellation);

        Assert.Equal("7", await client.GetStringAsync(new Uri($"/v1.0/state/store/{sent}", UriKind.Relative), Cancellation));
    }

    [Theory]
    [InlineData("/v1.0/publish/p+s/a%2Bb", "/v1.0/publish/p+s/a+b", "/v1.0/publish/p s/a+b")]
    [InlineData("/x", "/x", "/x")]
    [InlineData("/a+b/../c+d", "/c+d", "/c+d")]
    public void Which_plus_signs_were_escaped_the_sent_path_tells(string raw, string decoded, string expected) =>
        Assert.Equal(expected, RequestPath.WithSpaces(decoded, raw));

    [Theory]
    [InlineData("//v1.0//healthz/", "/v1.0/healthz")]
    [InlineData("/v1.0/healthz", "/v1.0/healthz")]
    [InlineData("/", "/")]
    [InlineData("//", "/")]
    public void Slashes_in_a_row_are_one(string sent, string expected) => Assert.Equal(expected, RequestPipeline.Clean(sent));

    [Fact]
    public void A_trace_goes_on_under_a_span_of_the_sidecar()
    {
        const string Caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

        var continued = TraceParent.Continue(Caller).Split('-');

        Assert.Equal(["00", "0af7651916cd43dd8448eb211c80319c", "01"], [continued[0], continued[1], continued[3]]);
        Assert.NotEqual("b7ad6b7169203331", continued[2]);
        Assert.Matches("^00-[0-9a-f]{32}-[0-9a-f]{16}-01$", TraceParent.Continue("nonsense"));
    }

    private static async Task<HttpStatusCode> StatusAsync(EmbeddedDapr dapr, string path, string? token = null)
    {
        using var client = Sidecars.Http(dapr["one"]);
        if (token is not null)
            client.DefaultRequestHeaders.Add("dapr-api-token", token);
        using var answer = await client.GetAsync(new Uri(path, UriKind.Relative), Cancellation);
        return answer.StatusCode;
    }

    private static void InterlockedMax(ref int location, int value)
    {
        var seen = Volatile.Read(ref location);
        while (value > seen && Interlocked.CompareExchange(ref location, value, seen) is var current && current != seen)
            seen = current;
    }
}
