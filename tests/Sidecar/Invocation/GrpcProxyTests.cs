using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Sidecar.Tests.Resources;
using DaprOrders.Tests.Servers;
using EmbeddedSidecar.Resources;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace DaprOrders.Sidecar.Tests.Invocation;

/// <summary>Calls of an application's own gRPC services, through the sidecar of another one (dapr pkg/messaging/grpc_proxy.go).</summary>
public sealed class GrpcProxyTests : IAsyncLifetime
{
    private const string Retries = "retries: {often: {policy: constant, duration: 1ms, maxRetries: 3}}";

    private readonly ResourceFolder _files = new();
    private ShopApp _shop = null!;
    private EmbeddedDapr _dapr = null!;
    private GrpcChannel? _channel;

    /// <summary>A call that is never answered is a failure, and not a test that never ends.</summary>
    private readonly CancellationTokenSource _limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

    private CancellationToken Cancellation => _limit.Token;

    private CallInvoker Caller => (_channel ??= Sidecars.Grpc(_dapr["caller"])).CreateCallInvoker();

    public async ValueTask InitializeAsync()
    {
        _limit.CancelAfter(TimeSpan.FromMinutes(2));
        _shop = await ShopApp.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _channel?.Dispose();
        await _dapr.DisposeAsync();
        await _shop.DisposeAsync();
        _files.Dispose();
        _limit.Dispose();
    }

    [Fact]
    public async Task A_call_keeps_its_message_and_metadata_both_ways_and_its_trailers()
    {
        await StartAsync();
        _shop.OnGet = async (request, call) =>
        {
            var bytes = call.RequestHeaders.GetValueBytes("x-bytes-bin")!;
            await call.WriteResponseHeadersAsync(new() { { "x-head", call.RequestHeaders.GetValue("x-text")! }, { "x-head-bin", bytes } });
            call.ResponseTrailers.Add("x-tail", "t");
            call.ResponseTrailers.Add("x-tail-bin", bytes);
            return request + "!";
        };

        var options = To("shop", ("x-text", "a"));
        options.Headers!.Add("x-bytes-bin", [0, 255, 1]);
        using var call = Caller.AsyncUnaryCall(ShopApp.Get, null, options, new() { Value = "grüße" });

        Assert.Equal("grüße!", (await call).Value);
        var head = await call.ResponseHeadersAsync;
        Assert.Equal("a", head.GetValue("x-head"));
        Assert.Equal<byte>([0, 255, 1], head.GetValueBytes("x-head-bin")!);
        Assert.Equal("t", call.GetTrailers().GetValue("x-tail"));
        Assert.Equal<byte>([0, 255, 1], call.GetTrailers().GetValueBytes("x-tail-bin")!);
    }

    [Fact]
    public async Task The_app_is_told_who_calls_by_the_sidecar_alone_and_gets_its_own_token()
    {
        await StartAsync(shop => shop with { AppApiToken = "for-the-app" });
        _shop.OnGet = (_, call) => Task.FromResult(string.Join('|', new[] { "dapr-caller-app-id", "dapr-callee-app-id", "dapr-api-token", "dapr-app-id" }.Select(name =>
            string.Join(',', call.RequestHeaders.Where(entry => entry.Key == name).Select(entry => entry.Value)))));

        (string, string)[] forged = [("dapr-caller-app-id", "somebody"), ("dapr-api-token", "guessed")];

        Assert.Equal("caller|shop|for-the-app|", await GetAsync("shop", "x", forged));
        using var own = Sidecars.Grpc(_dapr["shop"]);
        var toItself = own.CreateCallInvoker().AsyncUnaryCall(ShopApp.Get, null, To("shop", forged), new());
        Assert.Equal("||for-the-app|", (await toItself).Value);
    }

    [Fact]
    public async Task Streamed_answers_come_one_by_one()
    {
        await StartAsync();
        var firstSeen = new TaskCompletionSource();
        _shop.OnWatch = async (request, answers, _) =>
        {
            await answers.WriteAsync(new() { Value = request + " 1" });
            await firstSeen.Task;
            await answers.WriteAsync(new() { Value = request + " 2" });
        };

        using var call = Caller.AsyncServerStreamingCall(ShopApp.Watch, null, To("shop"), new() { Value = "order" });

        Assert.True(await call.ResponseStream.MoveNext(Cancellation));
        Assert.Equal("order 1", call.ResponseStream.Current.Value);
        firstSeen.SetResult();
        Assert.True(await call.ResponseStream.MoveNext(Cancellation));
        Assert.Equal("order 2", call.ResponseStream.Current.Value);
        Assert.False(await call.ResponseStream.MoveNext(Cancellation));
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task Streamed_requests_arrive_one_by_one_and_get_one_answer()
    {
        await StartAsync();
        var arrived = new SemaphoreSlim(0);
        _shop.OnTalk = async (requests, answer, _) =>
        {
            var all = "";
            while (await requests.MoveNext())
            {
                all += requests.Current.Value;
                arrived.Release();
            }

            await answer(all);
        };

        using var call = Caller.AsyncClientStreamingCall(ShopApp.Count, null, To("shop"));
        foreach (var text in new[] { "a", "b", "c" })
        {
            await call.RequestStream.WriteAsync(new() { Value = text }, Cancellation);
            await arrived.WaitAsync(Cancellation);
        }

        await call.RequestStream.CompleteAsync();
        Assert.Equal("abc", (await call).Value);
    }

    [Fact]
    public async Task Both_sides_may_talk_in_turns()
    {
        await StartAsync();
        EchoTalk();

        using var call = Caller.AsyncDuplexStreamingCall(ShopApp.Talk, null, To("shop"));
        foreach (var text in new[] { "a", "b", "c" })
        {
            await call.RequestStream.WriteAsync(new() { Value = text }, Cancellation);
            Assert.True(await call.ResponseStream.MoveNext(Cancellation));
            Assert.Equal("re " + text, call.ResponseStream.Current.Value);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext(Cancellation));
    }

    [Fact]
    public async Task A_refusal_keeps_its_code_its_message_and_its_trailers()
    {
        await StartAsync();
        _shop.OnGet = (_, _) => throw new RpcException(new(StatusCode.FailedPrecondition, "grüße: 100 %"), new Metadata { { "x-why", "because" } });

        var refused = await Assert.ThrowsAsync<RpcException>(() => GetAsync("shop", "x"));

        Assert.Equal((StatusCode.FailedPrecondition, "grüße: 100 %", "because"), (refused.StatusCode, refused.Status.Detail, refused.Trailers.GetValue("x-why")));
    }

    [Fact]
    public async Task A_stream_that_fails_gives_what_came_before()
    {
        await StartAsync();
        _shop.OnWatch = async (_, answers, _) =>
        {
            await answers.WriteAsync(new() { Value = "1" });
            throw new RpcException(new(StatusCode.DataLoss, "lost"));
        };

        using var call = Caller.AsyncServerStreamingCall(ShopApp.Watch, null, To("shop"), new());

        Assert.True(await call.ResponseStream.MoveNext(Cancellation));
        var broken = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(Cancellation));
        Assert.Equal((StatusCode.DataLoss, "lost"), (broken.StatusCode, broken.Status.Detail));
    }

    [Fact]
    public async Task A_caller_that_gives_up_ends_the_call_in_the_app()
    {
        await StartAsync();
        var (begun, ended) = (new TaskCompletionSource(), new TaskCompletionSource());
        _shop.OnGet = async (_, call) =>
        {
            begun.SetResult();
            await Task.Delay(Timeout.Infinite, call.CancellationToken).ContinueWith(_ => ended.SetResult(), TaskScheduler.Default);
            return "";
        };
        using var patience = new CancellationTokenSource();

        using var call = Caller.AsyncUnaryCall(ShopApp.Get, null, To("shop").WithCancellationToken(patience.Token), new());
        await begun.Task.WaitAsync(Cancellation);
        await patience.CancelAsync();

        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync)).StatusCode);
        await ended.Task.WaitAsync(Cancellation);
    }

    [Fact]
    public async Task A_deadline_reaches_the_app()
    {
        await StartAsync();
        var (seen, ended) = (new TaskCompletionSource<DateTime>(), new TaskCompletionSource());
        _shop.OnGet = async (_, call) =>
        {
            seen.SetResult(call.Deadline);
            await Task.Delay(Timeout.Infinite, call.CancellationToken).ContinueWith(_ => ended.SetResult(), TaskScheduler.Default);
            return "";
        };

        using var call = Caller.AsyncUnaryCall(ShopApp.Get, null, To("shop").WithDeadline(DateTime.UtcNow.AddSeconds(8)), new());

        Assert.NotEqual(DateTime.MaxValue, await seen.Task.WaitAsync(Cancellation));
        Assert.Equal(StatusCode.DeadlineExceeded, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync)).StatusCode);
        await ended.Task.WaitAsync(Cancellation);
    }

    [Theory]
    [InlineData("nobody", StatusCode.Unknown, "no host found with the given ID")]
    [InlineData("", StatusCode.Unknown, "cannot proxy request: missing dapr-callee-app-id or dapr-app-id metadata")]
    [InlineData("caller", StatusCode.Unknown, "cannot invoke local endpoint: app channel not initialized")]
    [InlineData("away", StatusCode.Unavailable, "connection error: desc = \"transport: Error while dialing: dial tcp 127.0.0.1:PORT: connect: connection refused\"")]
    public async Task An_app_that_cannot_be_called_is_told(string id, StatusCode status, string message)
    {
        await StartAsync();
        var away = FreePort.Next();
        await _dapr.AddAsync(Sidecars.App("away") with { AppPort = away, AppProtocol = AppProtocol.Grpc }, Cancellation);

        var refused = await Assert.ThrowsAsync<RpcException>(() => GetAsync(id, "x"));

        Assert.Equal((status, message), (refused.StatusCode, refused.Status.Detail.Replace($":{away}:", ":PORT:", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Where_nothing_is_traced_the_proxy_itself_misses_the_app_id_and_hands_no_trace_on()
    {
        var untraced = ConfigurationResource.Default with { Tracing = new(SamplingRate: 0) };
        var shop = Sidecars.App("shop") with { AppPort = _shop.Port, AppProtocol = AppProtocol.Grpc };
        _dapr = await Sidecars.StartAsync(Sidecars.App("caller") with { Configuration = untraced }, shop);
        await _dapr.Ready;
        _shop.OnGet = (_, call) => Task.FromResult(MetadataOf(call));

        var refused = await Assert.ThrowsAsync<RpcException>(() => GetAsync("", "x"));

        Assert.Equal("failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found", refused.Status.Detail);
        Assert.Equal("dapr-callee-app-id=shop dapr-caller-app-id=caller", await GetAsync("shop", "x"));
    }

    [Theory]
    [InlineData(200, "text/plain", StatusCode.Unknown, "unexpected HTTP status code received from server: 200 (OK); transport: received unexpected content-type \"text/plain\"")]
    [InlineData(404, null, StatusCode.Unimplemented, "unexpected HTTP status code received from server: 404 (Not Found); malformed header: missing HTTP content-type")]
    [InlineData(503, "application/grpcs", StatusCode.Unavailable, "unexpected HTTP status code received from server: 503 (Service Unavailable); transport: received unexpected content-type \"application/grpcs\"")]
    public async Task An_app_of_HTTP_gets_the_bytes_and_its_answer_is_a_status(int answered, string? contentType, StatusCode status, string message)
    {
        await using var http = await TestApp.StartAsync(
            context =>
            {
                var isCall = context.Request.ContentType == "application/grpc+proto";
                (context.Response.StatusCode, context.Response.ContentType) = isCall ? (answered, contentType) : (404, null);
                return Task.CompletedTask;
            },
            listen: listen => listen.Protocols = HttpProtocols.Http2);
        await StartAsync(null, Sidecars.App("http") with { AppPort = http.Port, AppProtocol = AppProtocol.H2c });
        Assert.DoesNotContain(http.FurtherCalls(), call => call.StartsWith("POST", StringComparison.Ordinal));

        var refused = await Assert.ThrowsAsync<RpcException>(() => GetAsync("http", "x"));

        Assert.Equal((status, message), (refused.StatusCode, refused.Status.Detail));
        Assert.Equal(["POST /shop.Orders/Get"], http.FurtherCalls());
    }

    [Fact]
    public async Task The_app_gets_the_callers_metadata_who_calls_whom_and_the_trace_and_nothing_else()
    {
        await StartAsync();
        _shop.OnGet = (_, call) => Task.FromResult(MetadataOf(call));

        Assert.Equal("dapr-callee-app-id=shop dapr-caller-app-id=caller grpc-trace-bin traceparent=1 x-mine=m", await GetAsync("shop", "x", ("x-mine", "m")));
        Assert.Equal(
            "dapr-callee-app-id=shop dapr-caller-app-id=caller grpc-trace-bin traceparent=2",
            await GetAsync("shop", "x", ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")));
        using var own = Sidecars.Grpc(_dapr["shop"]);
        using var toItself = own.CreateCallInvoker().AsyncUnaryCall(ShopApp.Get, null, To("shop", ("x-mine", "m")), new());
        Assert.Equal("x-mine=m", (await toItself).Value);
    }

    [Fact]
    public async Task Metadata_of_an_answer_without_a_message_are_lost_and_its_trailers_are_not()
    {
        await StartAsync();
        _shop.OnGet = async (_, call) =>
        {
            await call.WriteResponseHeadersAsync(new() { { "x-head", "h" } });
            throw new RpcException(new(StatusCode.NotFound, "no"), new Metadata { { "x-tail", "t" } });
        };

        using var call = Caller.AsyncUnaryCall(ShopApp.Get, null, To("shop"), new());
        var refused = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync);

        Assert.Equal((StatusCode.NotFound, "no", "t"), (refused.StatusCode, refused.Status.Detail, refused.Trailers.GetValue("x-tail")));
        Assert.Null((await call.ResponseHeadersAsync).Get("x-head"));
    }

    [Fact]
    public async Task A_retry_policy_makes_a_refused_call_again_with_the_same_request()
    {
        await StartAsync(Retries, "apps: {shop: {retry: often}}");
        _shop.OnGet = (request, _) => _shop.Calls < 3 ? throw new RpcException(new(StatusCode.Unavailable, "not yet")) : Task.FromResult($"{request} at {_shop.Calls}");

        Assert.Equal("x at 3", await GetAsync("shop", "x"));
    }

    [Fact]
    public async Task When_the_retries_are_over_the_last_refusal_is_the_answer()
    {
        await StartAsync(Retries, "apps: {shop: {retry: often}}");
        _shop.OnGet = (_, _) => throw new RpcException(new(StatusCode.NotFound, $"call {_shop.Calls}"));

        var refused = await Assert.ThrowsAsync<RpcException>(() => GetAsync("shop", "x"));

        Assert.Equal((StatusCode.NotFound, "call 4"), (refused.StatusCode, refused.Status.Detail));
    }

    [Fact]
    public async Task A_policy_for_some_codes_leaves_the_others_alone()
    {
        await StartAsync("retries: {often: {policy: constant, duration: 1ms, maxRetries: 3, matching: {gRPCStatusCodes: \"14\"}}}", "apps: {shop: {retry: often}}");
        _shop.OnGet = (_, _) => throw new RpcException(new(StatusCode.NotFound, "no"));

        await Assert.ThrowsAsync<RpcException>(() => GetAsync("shop", "x"));

        Assert.Equal(1, _shop.Calls);
    }

    [Fact]
    public async Task A_stream_is_not_made_again()
    {
        await StartAsync(Retries, "apps: {shop: {retry: often}}");
        _shop.OnTalk = (_, _, _) => throw new RpcException(new(StatusCode.Unavailable, "no"));

        using var begun = Caller.AsyncDuplexStreamingCall(ShopApp.Talk, null, To("shop"));
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => begun.ResponseStream.MoveNext(Cancellation))).StatusCode);
        using var declared = Caller.AsyncClientStreamingCall(ShopApp.Count, null, To("shop", ("dapr-stream", "true")));
        await declared.RequestStream.CompleteAsync();
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => declared.ResponseAsync)).StatusCode);

        Assert.Equal(2, _shop.Calls);
    }

    [Fact]
    public async Task A_stream_flows_under_a_policy_as_it_does_without()
    {
        await StartAsync(Retries, "apps: {shop: {retry: often}}");
        EchoTalk();

        using var call = Caller.AsyncDuplexStreamingCall(ShopApp.Talk, null, To("shop"));
        foreach (var text in new[] { "a", "b" })
        {
            await call.RequestStream.WriteAsync(new() { Value = text }, Cancellation);
            Assert.True(await call.ResponseStream.MoveNext(Cancellation));
            Assert.Equal("re " + text, call.ResponseStream.Current.Value);
        }
    }

    [Fact]
    public async Task A_timeout_ends_a_call()
    {
        await StartAsync("timeouts: {soon: 50ms}", "apps: {shop: {timeout: soon}}");
        _shop.OnGet = async (_, call) =>
        {
            await Task.Delay(Timeout.Infinite, call.CancellationToken);
            return "";
        };

        var refused = await Assert.ThrowsAsync<RpcException>(() => GetAsync("shop", "x"));

        Assert.Equal((StatusCode.DeadlineExceeded, "context deadline exceeded"), (refused.StatusCode, refused.Status.Detail));
    }

    [Fact]
    public async Task An_open_breaker_refuses_without_calling()
    {
        await StartAsync("circuitBreakers: {one: {maxRequests: 1, timeout: 1h, trip: consecutiveFailures >= 1}}", "apps: {shop: {circuitBreaker: one}}");
        _shop.OnGet = (_, _) => throw new RpcException(new(StatusCode.Internal, "broken"));

        await Assert.ThrowsAsync<RpcException>(() => GetAsync("shop", "x"));
        var refused = await Assert.ThrowsAsync<RpcException>(() => GetAsync("shop", "x"));

        Assert.Equal((StatusCode.Unknown, "circuit breaker is open", 1), (refused.StatusCode, refused.Status.Detail, _shop.Calls));
    }

    [Fact]
    public async Task An_application_is_not_under_its_own_policies()
    {
        await StartAsync(Retries, "apps: {shop: {retry: often}}");
        _shop.OnGet = (_, _) => throw new RpcException(new(StatusCode.Unavailable, "no"));
        using var own = Sidecars.Grpc(_dapr["shop"]);

        await Assert.ThrowsAsync<RpcException>(async () => await own.CreateCallInvoker().AsyncUnaryCall(ShopApp.Get, null, To("shop"), new()));

        Assert.Equal(1, _shop.Calls);
    }

    /// <summary>Without what belongs to the call itself; of a traceparent how many there are.</summary>
    private static string MetadataOf(ServerCallContext call) => string.Join(' ', call.RequestHeaders
        .Where(entry => entry.Key is not ("user-agent" or "te" or "grpc-accept-encoding" or "grpc-timeout" or "content-type" or "accept-encoding"))
        .OrderBy(entry => entry.Key, StringComparer.Ordinal)
        .Select(entry => entry.Key switch
        {
            "traceparent" => $"traceparent={entry.Value.Split(',').Length}",
            _ when entry.IsBinary => entry.Key,
            _ => $"{entry.Key}={entry.Value}",
        }));

    private void EchoTalk() => _shop.OnTalk = async (requests, answer, _) =>
    {
        while (await requests.MoveNext())
            await answer("re " + requests.Current.Value);
    };

    private async Task<string> GetAsync(string id, string request, params (string Name, string Value)[] metadata)
    {
        using var call = Caller.AsyncUnaryCall(ShopApp.Get, null, To(id, metadata), new() { Value = request });
        return (await call).Value;
    }

    private CallOptions To(string id, params (string Name, string Value)[] metadata)
    {
        var headers = new Metadata();
        if (id.Length > 0)
            headers.Add("dapr-app-id", id);
        foreach (var (name, value) in metadata)
            headers.Add(name, value);
        return new CallOptions(headers, cancellationToken: Cancellation);
    }

    private Task StartAsync(string policies, string targets) => StartAsync(null, [], $"""
        apiVersion: dapr.io/v1alpha1
        kind: Resiliency
        metadata: (name: r)
        spec:
          policies: ({policies})
          targets: ({targets})
        """.Replace('(', '{').Replace(')', '}'));

    private Task StartAsync(Func<SidecarOptions, SidecarOptions>? change = null, params SidecarOptions[] others) => StartAsync(change, others, null);

    private async Task StartAsync(Func<SidecarOptions, SidecarOptions>? change, SidecarOptions[] others, string? resiliency)
    {
        if (resiliency is not null)
            _files.With("resiliency.yaml", resiliency);
        var resources = ResourceLoader.Load([_files.Path]);
        var shop = Sidecars.App("shop") with { AppPort = _shop.Port, AppProtocol = AppProtocol.Grpc, Resources = resources };
        _dapr = await Sidecars.StartAsync([Sidecars.App("caller") with { Resources = resources }, change?.Invoke(shop) ?? shop, .. others]);
        await _dapr.Ready;
    }
}
