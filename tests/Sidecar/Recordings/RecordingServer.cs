using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;

namespace DaprOrders.Sidecar.Tests.Recordings;

/// <summary>An application of a scenario, as a server on its port.</summary>
public abstract class RecordingServer(int port) : IAsyncDisposable
{
    private WebApplication? _server;

    public async Task StartAsync(CancellationToken cancel)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, listen => Listen(kestrel, listen)));
        Add(builder);
        _server = builder.Build();
        Map(_server);
        await _server.StartAsync(cancel);
    }

    /// <summary>As a process that ends: the port refuses at once, and what is being handled is cut off.</summary>
    public async Task StopAsync()
    {
        if (_server is not { } server)
            return;
        _server = null;
        await server.StopAsync(new CancellationToken(canceled: true));
        await server.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        GC.SuppressFinalize(this);
    }

    protected abstract void Listen(KestrelServerOptions kestrel, ListenOptions listen);

    protected virtual void Add(WebApplicationBuilder builder)
    {
    }

    protected abstract void Map(WebApplication server);
}
