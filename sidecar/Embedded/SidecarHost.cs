using System.Net;
using System.Text;
using EmbeddedSidecar.Api.State;
using EmbeddedSidecar.Components;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resources;
using Grpc.AspNetCore.Server.Model;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace EmbeddedSidecar;

/// <summary>One application's sidecar: its Dapr HTTP port, its Dapr gRPC port, and the parts that call the application.</summary>
public sealed class SidecarHost : IAsyncDisposable
{
    internal static readonly TimeSpan GracefulStop = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan AnswersAfterStop = TimeSpan.FromSeconds(1);

    /// <summary>Where nothing is to be waited for, the answer to that request is still on its way.</summary>
    private static readonly TimeSpan LastAnswer = TimeSpan.FromMilliseconds(100);

    private readonly WebApplication _server;
    private readonly AppLifecycle _lifecycle;
    private readonly SharedParts _shared;
    private readonly Lock _stopping = new();
    private Task? _idle;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task? _stop;

    private SidecarHost(SidecarRuntime runtime, WebApplication server, SharedParts shared)
    {
        Runtime = runtime;
        _server = server;
        _shared = shared;
        _lifecycle = new AppLifecycle(runtime);
    }

    public string AppId => Runtime.Options.AppId;

    /// <summary>0 where it listens on a socket file.</summary>
    public int HttpPort => Runtime.HttpPort;

    /// <summary>0 where it listens on a socket file.</summary>
    public int GrpcPort => Runtime.GrpcPort;

    /// <summary>DAPR_HTTP_ENDPOINT of the application, for instance http://127.0.0.1:3500, or unix:// and the path of a socket.</summary>
    public string HttpEndpoint { get; private set; } = "";

    /// <summary>DAPR_GRPC_ENDPOINT of the application.</summary>
    public string GrpcEndpoint { get; private set; } = "";

    internal SidecarRuntime Runtime { get; }

    /// <summary>/v1.0/healthz answers 204: the application was reached and asked, its subscriptions and actors are at work. Fails when they cannot start.</summary>
    public Task Ready => _lifecycle.Ready;

    /// <summary>The sidecar has stopped: because it was told to, or because its application asked for it (POST /v1.0/shutdown).</summary>
    public Task Stopped => _stopped.Task;

    /// <summary>Returns once both ports answer; the application may come later (see <see cref="Ready"/>).</summary>
    /// <exception cref="ResourceException">A mistake in a resource.</exception>
    /// <exception cref="IOException">A port is taken.</exception>
    internal static async Task<SidecarHost> StartAsync(
        SidecarOptions options, ResourceSet declared, ConfigurationResource configuration, SharedParts shared, CancellationToken cancellationToken)
    {
        var components = await LoadAsync(options, shared, declared, cancellationToken);
        var runtime = new SidecarRuntime(options, shared, declared, configuration, components);
        try
        {
            return await ServeAsync(runtime, options, shared, cancellationToken);
        }
        catch
        {
            runtime.App?.Dispose();
            await SendLastSpansAsync(runtime);
            throw;
        }
    }

    private static async Task<SidecarHost> ServeAsync(SidecarRuntime runtime, SidecarOptions options, SharedParts shared, CancellationToken cancellationToken)
    {
        await RegisterAsync(runtime, runtime.Loaded, cancellationToken);
        ListenOptions? http = null, grpc = null, metrics = null;
        var priorKnowledge = new PriorKnowledge(new KestrelServerLimits().KeepAliveTimeout);
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = typeof(SidecarHost).Assembly.GetName().Name });
        // Large requests come in pieces of 4 KB, and to wait for each without a buffer is a call of the system more.
        builder.Services.Configure<SocketTransportOptions>(sockets => sockets.WaitForDataBeforeAllocatingBuffer = false);
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = options.MaxBodyBytes;
            // Header values pass as the bytes they are, UTF-8 or not: one character to the byte, here and towards applications.
            kestrel.RequestHeaderEncodingSelector = _ => Encoding.Latin1;
            kestrel.ResponseHeaderEncodingSelector = _ => Encoding.Latin1;
            // As grpc-go: no bound on the calls of a connection, and windows that take a large message in one go.
            kestrel.Limits.Http2.MaxStreamsPerConnection = int.MaxValue;
            kestrel.Limits.Http2.InitialConnectionWindowSize = 8 * 1024 * 1024;
            kestrel.Limits.Http2.InitialStreamWindowSize = 1024 * 1024;
            // The pipeline sees to what is less, over HTTP alone: to gRPC daprd gives a thousand times as much.
            if (options.ReadBufferBytes is { } most && most + (long)RequestPipeline.ReadAhead is var all && all > kestrel.Limits.MaxRequestHeadersTotalSize)
            {
                kestrel.Limits.MaxRequestBufferSize = Math.Max(kestrel.Limits.MaxRequestBufferSize!.Value, all);
                kestrel.Limits.MaxRequestHeadersTotalSize = kestrel.Limits.MaxRequestLineSize = kestrel.Limits.Http2.MaxRequestHeaderFieldSize = (int)Math.Min(all, int.MaxValue);
            }

            ListenForApi(kestrel, options, "http", options.HttpPort, listen =>
            {
                listen.Protocols = HttpProtocols.Http1;
                if (!options.DisableH2c)
                    listen.Use(priorKnowledge.Choose);
                http = listen;
            });
            if (!options.DisableH2c)
                kestrel.Listen(priorKnowledge, listen => listen.Protocols = HttpProtocols.Http2);
            ListenForApi(kestrel, options, "grpc", options.GrpcPort, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                grpc = listen;
            });
            if (options.MetricsPort is { } metricsPort)
            {
                Listen(kestrel, address: null, metricsPort, listen =>
                {
                    listen.Protocols = HttpProtocols.Http1;
                    metrics = listen;
                });
            }
        });

        var methods = new DaprGrpcMethods();
        SidecarApis.BindGrpc(methods);
        builder.Services.AddSingleton<IConnectionListenerFactory>(priorKnowledge);
        builder.Services.AddSingleton(runtime);
        builder.Services.Replace(ServiceDescriptor.Singleton<ILoggerFactory>(new ServerLogs(shared.LoggerFactory)));
        // The signals are the host process's own: a sidecar inside it must not take them.
        builder.Services.Replace(ServiceDescriptor.Singleton<IHostLifetime, NoLifetime>());
        builder.Services.TryAddSingleton(typeof(ILogger<>), typeof(Logger<>));
        builder.Services.AddRouting();
        builder.Services.AddHttpForwarder();
        builder.Services.AddGrpc(grpcOptions =>
        {
            grpcOptions.MaxReceiveMessageSize = options.MaxBodyBytes;
            grpcOptions.MaxSendMessageSize = null;
            // Such calls go on through the pipeline, which words the refusal as daprd does and logs it.
            grpcOptions.IgnoreUnknownServices = true;
        });
        builder.Services.AddSingleton<IServiceMethodProvider<SidecarRuntime>>(methods);

        var server = builder.Build();
        server.UseDaprPipeline(runtime);
        SidecarApis.MapHttp(server, runtime);
        server.MapGrpcService<SidecarRuntime>();

        var host = new SidecarHost(runtime, server, shared);
        try
        {
            await server.StartAsync(cancellationToken);
            runtime.HttpPort = http!.IPEndPoint?.Port ?? 0;
            runtime.GrpcPort = grpc!.IPEndPoint?.Port ?? 0;
            host.HttpEndpoint = AddressOf(http);
            host.GrpcEndpoint = AddressOf(grpc);
            runtime.MetricsPort = metrics?.IPEndPoint!.Port;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }

        shared.Apps.Join(runtime);
        host._lifecycle.Start();
        _ = host.StopOnRequestAsync();
        return host;
    }

    /// <summary>
    /// Takes what the files now declare, while requests are served. Changed components and subscriptions are gone over to; a changed
    /// Configuration, Resiliency or HTTPEndpoint is a start from anew, as daprd's, though the ports stay open.
    /// </summary>
    /// <returns>What was exchanged, and the end of going over to it; null where nothing changed, or where the sidecar stops.</returns>
    /// <exception cref="ResourceException">A mistake in a resource; the sidecar goes on with what it had.</exception>
    internal async Task<(LoadedResources Before, Task Following)?> TakeAsync(
        ResourceSet declared, ConfigurationResource configuration, CancellationToken cancellationToken)
    {
        var before = Runtime.Loaded;
        var startsAgain = !ResourceComparison.Same(before.Configuration, configuration)
            || !ResourceComparison.Same(before.Declared.Resiliencies, declared.Resiliencies)
            || !ResourceComparison.Same(before.Declared.HttpEndpoints, declared.HttpEndpoints);
        if (!startsAgain && ResourceComparison.Same(before.Declared.Components, declared.Components)
            && ResourceComparison.Same(before.Declared.Subscriptions, declared.Subscriptions))
            return null;

        var components = await LoadAsync(Runtime.Options, _shared, declared, cancellationToken);
        var loaded = new LoadedResources(Runtime, declared, configuration, components, startsAgain ? null : before);
        var isTaken = false;
        try
        {
            await RegisterAsync(Runtime, loaded, cancellationToken);
            isTaken = TryExchange(loaded);
        }
        finally
        {
            if (!isTaken && loaded.Tracing is { } unused && unused != before.Tracing)
                await unused.DisposeAsync();
        }

        if (!isTaken)
            return null;
        Runtime.Logger.LogInformation(
            "The files of {AppId} have changed, and its sidecar {What}", AppId, startsAgain ? "starts from anew" : "goes over to what they declare now");
        return (before, startsAgain ? _lifecycle.StartAgainAsync() : _lifecycle.FollowChangeAsync());
    }

    /// <summary>Not when it stops: the end lets go of what is there then.</summary>
    private bool TryExchange(LoadedResources loaded)
    {
        lock (_stopping)
        {
            if (_stop is null)
                Runtime.Exchange(loaded);
            return _stop is null;
        }
    }

    /// <summary>Stops taking work from brokers, timers and reminders and lets what runs end; the APIs still answer, for an application that is ending.</summary>
    public Task StopTakingWorkAsync(CancellationToken cancellationToken)
    {
        lock (_stopping)
            return _idle ??= Task.WhenAll(
                _lifecycle.StopAsync(cancellationToken), Runtime.Streams.StopAsync(), Runtime.ConfigurationSubscriptions.StopAsync());
    }

    /// <summary>
    /// Stops taking work from brokers, lets what runs end (for daprd's five seconds and one more for its answers, or until the token is
    /// cancelled), then closes the ports.
    /// </summary>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        lock (_stopping)
            return _stop ??= StopOnceAsync(cancellationToken);
    }

    /// <summary>Once it has stopped, and those that call its application have: spans on this side end with calls of theirs.</summary>
    internal Task SendLastSpansAsync() => SendLastSpansAsync(Runtime);

    public async ValueTask DisposeAsync() => await StopAsync(CancellationToken.None);

    private static Task<IReadOnlyList<LoadedComponent>> LoadAsync(
        SidecarOptions options, SharedParts shared, ResourceSet resources, CancellationToken cancellationToken) => shared.Components.LoadAsync(
        resources.Components, options.AppId, options.Namespace, options.Folder ?? Environment.CurrentDirectory, cancellationToken);

    private static async Task RegisterAsync(SidecarRuntime runtime, LoadedResources loaded, CancellationToken cancellationToken)
    {
        await runtime.Subscriptions.RegisterAsync(loaded, cancellationToken);
        await OutboxRelay.RegisterAsync(loaded, cancellationToken);
    }

    private static async Task SendLastSpansAsync(SidecarRuntime runtime)
    {
        if (runtime.Loaded.Tracing is { } tracing)
            await tracing.DisposeAsync();
    }

    private async Task StopOnRequestAsync()
    {
        await Task.WhenAny(Runtime.ShutdownRequested, Stopped);
        if (Stopped.IsCompleted)
            return;
        Runtime.Logger.LogInformation("{AppId} asked its sidecar to stop", Runtime.Options.AppId);
        try
        {
            using var limit = new CancellationTokenSource();
            if (await Runtime.ShutdownRequested)
                limit.CancelAfter(LastAnswer);
            await StopAsync(limit.Token);
        }
        catch (Exception e)
        {
            Runtime.Logger.LogError(e, "The sidecar of {AppId} did not stop cleanly", Runtime.Options.AppId);
        }
    }

    private async Task StopOnceAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(GracefulStop);
        try
        {
            _shared.Apps.Leave(Runtime);
            await StopTakingWorkAsync(limit.Token);
            // What ended only with that time has an answer that is still to be written.
            using var closing = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            await using var answering = limit.Token.Register(() => closing.CancelAfter(AnswersAfterStop));
            await _server.StopAsync(closing.Token);
            await _server.DisposeAsync();
            Runtime.App?.Dispose();
        }
        finally
        {
            _stopped.TrySetResult();
        }
    }

    private static void ListenForApi(KestrelServerOptions kestrel, SidecarOptions options, string api, int port, Action<ListenOptions> configure)
    {
        if (options.UnixDomainSocket is { } folder)
            kestrel.ListenUnixSocket(ApiSocket.Free(folder, options.AppId, api), configure);
        else
            Listen(kestrel, options.ListenAddress, port, configure);
    }

    private static string AddressOf(ListenOptions api) => api.SocketPath is { } file ? $"unix://{file}" : $"http://{(api.IPEndPoint!.Address.Equals(IPAddress.IPv6Loopback) ? "[::1]" : "127.0.0.1")}:{api.IPEndPoint.Port}";

    /// <summary>Where nothing is said, a given port on both loopback addresses, since clients say "localhost"; a free one (0) on 127.0.0.1 alone.</summary>
    private static void Listen(KestrelServerOptions kestrel, IPAddress? address, int port, Action<ListenOptions> configure)
    {
        if (address is null && port > 0)
            kestrel.ListenLocalhost(port, configure);
        else
            kestrel.Listen(address ?? IPAddress.Loopback, port, configure);
    }

    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
