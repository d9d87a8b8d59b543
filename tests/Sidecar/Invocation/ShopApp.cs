using System.Net;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace DaprOrders.Sidecar.Tests.Invocation;

/// <summary>An application with a gRPC service of its own, shop.Orders, that sends and takes texts.</summary>
internal sealed class ShopApp : IAsyncDisposable
{
    public static readonly Method<StringValue, StringValue> Get = Described(MethodType.Unary, nameof(Get));
    public static readonly Method<StringValue, StringValue> Watch = Described(MethodType.ServerStreaming, nameof(Watch));
    public static readonly Method<StringValue, StringValue> Count = Described(MethodType.ClientStreaming, nameof(Count));
    public static readonly Method<StringValue, StringValue> Talk = Described(MethodType.DuplexStreaming, nameof(Talk));

    private WebApplication _server = null!;

    private ShopApp()
    {
    }

    public int Port => new Uri(_server.Urls.Single()).Port;

    /// <summary>Calls of all kinds so far.</summary>
    public int Calls { get; private set; }

    public Func<string, ServerCallContext, Task<string>> OnGet { get; set; } = (request, _) => Task.FromResult("got " + request);

    public Func<string, IServerStreamWriter<StringValue>, ServerCallContext, Task> OnWatch { get; set; } = (_, _, _) => Task.CompletedTask;

    /// <summary>For Count as well: what it answers is what is written last.</summary>
    public Func<IAsyncStreamReader<StringValue>, Func<string, Task>, ServerCallContext, Task> OnTalk { get; set; } = (_, _, _) => Task.CompletedTask;

    public static async Task<ShopApp> StartAsync(int port = 0, Action<ListenOptions>? listen = null)
    {
        var app = new ShopApp();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, port, options =>
        {
            options.Protocols = HttpProtocols.Http2;
            listen?.Invoke(options);
        }));
        builder.Services.AddRouting();
        builder.Services.AddGrpc();
        builder.Services.AddSingleton(app);
        builder.Services.AddSingleton<IServiceMethodProvider<ShopApp>, Methods>();
        app._server = builder.Build();
        app._server.MapGrpcService<ShopApp>();
        await app._server.StartAsync(TestContext.Current.CancellationToken);
        return app;
    }

    public async ValueTask DisposeAsync()
    {
        await _server.StopAsync(new CancellationToken(canceled: true));
        await _server.DisposeAsync();
    }

    private static Method<StringValue, StringValue> Described(MethodType type, string name)
    {
        var marshaller = new Marshaller<StringValue>(text => text.ToByteArray(), StringValue.Parser.ParseFrom);
        return new(type, "shop.Orders", name, marshaller, marshaller);
    }

    private sealed class Methods : IServiceMethodProvider<ShopApp>
    {
        public void OnServiceMethodDiscovery(ServiceMethodProviderContext<ShopApp> context)
        {
            context.AddUnaryMethod(Get, [], async (app, request, call) =>
            {
                app.Calls++;
                return new StringValue { Value = await app.OnGet(request.Value, call) };
            });
            context.AddServerStreamingMethod(Watch, [], (app, request, answers, call) =>
            {
                app.Calls++;
                return app.OnWatch(request.Value, answers, call);
            });
            context.AddClientStreamingMethod(Count, [], async (app, requests, call) =>
            {
                app.Calls++;
                var answer = new StringValue();
                await app.OnTalk(requests, text => Task.FromResult(answer.Value = text), call);
                return answer;
            });
            context.AddDuplexStreamingMethod(Talk, [], (app, requests, answers, call) =>
            {
                app.Calls++;
                return app.OnTalk(requests, text => answers.WriteAsync(new() { Value = text }), call);
            });
        }
    }
}
