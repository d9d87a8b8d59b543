using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace DaprOrders.Sidecar.Tests.Hosting;

/// <summary>An application beside a sidecar: answers by one function, and tells what it was asked.</summary>
internal sealed class TestApp : IAsyncDisposable
{
    private readonly WebApplication _server;
    private readonly Channel<string> _calls = Channel.CreateUnbounded<string>();

    private TestApp(WebApplication server) => _server = server;

    public int Port => new Uri(_server.Urls.Single()).Port;

    /// <summary>The headers of the last call.</summary>
    public IHeaderDictionary LastHeaders { get; private set; } = new HeaderDictionary();

    public static async Task<TestApp> StartAsync(Func<HttpContext, Task> answer, int port = 0, Action<ListenOptions>? listen = null)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen ?? (_ => { })));
        var app = new TestApp(builder.Build());
        app._server.Run(async context =>
        {
            app.LastHeaders = new HeaderDictionary(context.Request.Headers.ToDictionary());
            app._calls.Writer.TryWrite($"{context.Request.Method} {context.Request.Path}");
            await answer(context);
        });
        await app._server.StartAsync(TestContext.Current.CancellationToken);
        return app;
    }

    public static Task<TestApp> StartAsync(int status = StatusCodes.Status404NotFound, int port = 0) => StartAsync(
        context =>
        {
            context.Response.StatusCode = status;
            return Task.CompletedTask;
        },
        port);

    /// <summary>"GET /dapr/config", in the order in which they came; waits for the next one.</summary>
    public ValueTask<string> NextCallAsync() => _calls.Reader.ReadAsync(TestContext.Current.CancellationToken);

    /// <summary>What came, and nobody asked for.</summary>
    public IEnumerable<string> FurtherCalls()
    {
        while (_calls.Reader.TryRead(out var call))
            yield return call;
    }

    public async ValueTask DisposeAsync()
    {
        await _server.StopAsync();
        await _server.DisposeAsync();
    }
}
