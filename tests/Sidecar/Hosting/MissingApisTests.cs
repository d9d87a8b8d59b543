using System.Collections.Concurrent;
using System.Net;
using Dapr.Client.Autogen.Grpc.v1;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Sidecar.Tests.Hosting;

/// <summary>What the sidecar does not have is answered as by a daprd without it, and the log names it.</summary>
public sealed class MissingApisTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("PUT", "/v1.0-alpha1/crypto/vault/encrypt", HttpStatusCode.InternalServerError, "but the embedded sidecar has no crypto providers")]
    [InlineData("POST", "/v1.0-alpha2/conversation/model/converse", HttpStatusCode.BadRequest, "but the embedded sidecar has no conversation components")]
    [InlineData("POST", "/v1.0/workflows/dapr/order/start", HttpStatusCode.InternalServerError, "but the embedded sidecar has no workflows")]
    [InlineData("POST", "/v1.0-alpha1/query/store", HttpStatusCode.NotFound, "which is no API of the embedded sidecar")]
    public async Task Over_http(string method, string path, HttpStatusCode status, string missing)
    {
        using var log = new WarningsSeen();
        await using var dapr = await StartAsync(log);
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.SendAsync(new HttpRequestMessage(new HttpMethod(method), path), Cancellation);

        Assert.Equal(status, answer.StatusCode);
        Assert.Equal([$"one called {method} {path}, {missing}"], log.Texts);
    }

    [Theory]
    [InlineData("GET", "/v1.0/configuration/store", "configuration store store, but it has no configuration store component")]
    [InlineData("GET", "/v1.0-alpha1/configuration/store/subscribe", "configuration store store, but it has no configuration store component")]
    [InlineData("POST", "/v1.0-alpha1/unlock/store", "lock store store, but it has no lock store component")]
    public async Task A_component_that_is_not_configured_is_named(string method, string path, string missing)
    {
        using var log = new WarningsSeen();
        await using var dapr = await StartAsync(log);
        using var http = Sidecars.Http(dapr["one"]);

        using var answer = await http.SendAsync(new HttpRequestMessage(new HttpMethod(method), path), Cancellation);

        Assert.Equal(HttpStatusCode.InternalServerError, answer.StatusCode);
        Assert.Equal([$"one asked for {missing}"], log.Texts);
    }

    [Fact]
    public async Task What_is_missing_is_told_at_the_first_call_of_it_and_then_no_more()
    {
        using var log = new WarningsSeen();
        await using var dapr = await StartAsync(log);
        using var http = Sidecars.Http(dapr["one"]);

        foreach (var path in new[] { "/v1.0/workflows/dapr/1", "/v1.0-beta1/workflows/dapr/2", "/v1.0/workflows/dapr/3" })
            (await http.GetAsync(new Uri(path, UriKind.Relative), Cancellation)).Dispose();

        Assert.Equal(
            [
                "one called GET /v1.0/workflows/dapr/1, but the embedded sidecar has no workflows",
            ],
            log.Texts);
    }

    [Fact]
    public async Task Over_grpc()
    {
        using var log = new WarningsSeen();
        await using var dapr = await StartAsync(log);
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);

        var refused = await Assert.ThrowsAsync<RpcException>(async () => await client.TryLockAlpha1Async(new TryLockRequest { ExpiryInSeconds = 5 }, cancellationToken: Cancellation));
        using var subscription = client.SubscribeConfiguration(new SubscribeConfigurationRequest(), cancellationToken: Cancellation);
        var refusedStream = await Assert.ThrowsAsync<RpcException>(() => subscription.ResponseStream.MoveNext(Cancellation));
        var unknown = await Assert.ThrowsAsync<RpcException>(async () => await client.SubtleGetKeyAlpha1Async(new SubtleGetKeyRequest(), cancellationToken: Cancellation));

        Assert.Equal(
            [StatusCode.FailedPrecondition, StatusCode.FailedPrecondition, StatusCode.Unimplemented],
            [refused.StatusCode, refusedStream.StatusCode, unknown.StatusCode]);
        Assert.Equal(
            [
                "one asked for lock store , but it has no lock store component",
                "one asked for configuration store , but it has no configuration store component",
                "one called /dapr.proto.runtime.v1.Dapr/SubtleGetKeyAlpha1, which the embedded sidecar does not support",
            ],
            log.Texts);
    }

    private static Task<EmbeddedDapr> StartAsync(WarningsSeen log) =>
        EmbeddedDapr.StartAsync(new EmbeddedDaprOptions { Apps = [Sidecars.App("one")], LoggerFactory = new LoggerFactory([log]) }, Cancellation);

    private sealed class WarningsSeen : ILoggerProvider, ILogger
    {
        private readonly ConcurrentQueue<string> _texts = new();

        public IEnumerable<string> Texts => _texts;

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
                _texts.Enqueue(formatter(state, exception));
        }

        public void Dispose()
        {
        }
    }
}
