using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;
using EmbeddedSidecar.Actors;
using EmbeddedSidecar.Metrics;
using Microsoft.Extensions.Logging.Abstractions;

namespace DaprOrders.Sidecar.Tests.Actors;

/// <summary>An application that hosts the type Cart, without a server: notes its calls, and answers what the test wants.</summary>
internal sealed class ScriptedActorApp
{
    private readonly Channel<string> _calls = Channel.CreateUnbounded<string>();
    private readonly Uri _address;

    public ScriptedActorApp(string name, int port, TimeProvider time, TimeSpan? idleTimeout = null)
    {
        _address = new Uri($"http://127.0.0.1:{port}");
        Host = new ActorHost(
            new() { AppId = name, AppPort = port },
            new Dictionary<string, ActorSettings> { ["Cart"] = ActorSettings.Default with { IdleTimeout = idleTimeout ?? TimeSpan.FromHours(1) } },
            SendAsync,
            _ => null,
            new SidecarMetrics(name, probePath: null),
            time,
            NullLogger.Instance);
    }

    public ActorHost Host { get; }

    /// <summary>Nothing listens on its port.</summary>
    public bool IsGone { get; set; }

    /// <summary>Answers are held back until it is completed.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public HttpStatusCode Answer { get; set; } = HttpStatusCode.OK;

    /// <summary>The next call, as "PUT /actors/Cart/1/method/go".</summary>
    public async Task<string> NextCallAsync() =>
        await _calls.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);

    public bool WasCalled => _calls.Reader.TryPeek(out _);

    private async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        request.RequestUri = new Uri(_address, request.RequestUri!);
        if (IsGone)
            throw new HttpRequestException(HttpRequestError.ConnectionError, "refused", new SocketException((int)SocketError.ConnectionRefused));
        _calls.Writer.TryWrite($"{request.Method} {request.RequestUri!.PathAndQuery}");
        await Gate.WaitAsync(cancellationToken);
        return new HttpResponseMessage(Answer) { Content = new StringContent(Host.AppId) };
    }
}
