using System.Collections.Concurrent;
using System.Net;
using Dapr.AppCallback.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Resources;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace DaprOrders.Sidecar.Tests.Bindings;

/// <summary>Which cron bindings an application gets, where their ticks go, and what their answers mean (dapr pkg/runtime/processor/binding).</summary>
public sealed class CronBindingsTests
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UtcNow);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_route_is_called_without_slashes_that_mean_nothing_as_Go_cleans_it()
    {
        await using var app = await TestApp.StartAsync(StatusCodes.Status200OK);
        await using var dapr = await StartAsync(Sidecars.App("one", Cron("tick", ("route", "//ticks/./tick/"))) with { AppPort = app.Port });

        await CallOfAsync(app, "OPTIONS /ticks/tick");
        await TickUntilAsync(() => app.FurtherCalls().Contains("POST /ticks/tick"));
    }

    [Fact]
    public async Task To_a_policy_every_answer_but_200_is_a_failure_and_the_last_one_is_a_success_if_it_is_2xx()
    {
        var calls = 0;
        await using var app = await TestApp.StartAsync(context =>
        {
            if (HttpMethods.IsPost(context.Request.Method))
                Interlocked.Increment(ref calls);
            context.Response.StatusCode = StatusCodes.Status204NoContent;
            return Task.CompletedTask;
        });
        var resources = ResourceLoader.Read("""
            apiVersion: dapr.io/v1alpha1
            kind: Resiliency
            metadata: {name: r}
            spec:
              policies: {retries: {twice: {duration: 1ms, maxRetries: 2}}}
              targets: {components: {tick: {inbound: {retry: twice}}}}
            """);
        var hour = Cron("tick", ("direction", "input"), ("schedule", "@every 1h"));
        await using var dapr = await StartAsync(
            Sidecars.App("one") with { AppPort = app.Port, MetricsPort = 0, Resources = resources with { Components = [hour] } });
        using var metrics = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{dapr["one"].Runtime.MetricsPort}") };

        _time.Advance(TimeSpan.FromHours(1));
        string told;
        do
        {
            _time.Advance(TimeSpan.FromMilliseconds(1));
            told = await metrics.GetStringAsync(new Uri("/", UriKind.Relative), Cancellation);
        }
        while (!told.Contains("dapr_component_input_binding_count{", StringComparison.Ordinal));

        Assert.Equal(3, Volatile.Read(ref calls));
        Assert.Matches("dapr_component_input_binding_count\\{[^}]*success=\"true\"[^}]*\\} 1", told);
    }

    [Fact]
    public async Task An_application_that_speaks_gRPC_is_not_asked_for_bindings_that_name_their_direction()
    {
        await using var app = await GrpcApp.StartAsync("output");
        await using var dapr = await StartAsync(
            Sidecars.App("one", Cron("input", ("direction", "input")), Cron("output", ("direction", "output"))) with
            {
                AppPort = app.Port,
                AppProtocol = AppProtocol.Grpc,
            });

        await TickUntilAsync(() => app.Ticks.ContainsKey("input"));
        var before = app.Ticks["input"];
        await TickUntilAsync(() => app.Ticks["input"] > before + 1);

        Assert.Equal(["input"], app.Ticks.Keys);
    }

    [Fact]
    public async Task An_application_that_speaks_gRPC_is_asked_once_which_bindings_it_wants()
    {
        await using var app = await GrpcApp.StartAsync("tick");
        var check = new AppHealthCheck("", TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(30), 1);
        await using var dapr = await StartAsync(
            Sidecars.App("one", Cron("tick")) with { AppPort = app.Port, AppProtocol = AppProtocol.Grpc, AppHealthCheck = check });

        app.IsIll = true;
        await TickUntilAsync(() => !dapr["one"].Runtime.App!.IsHealthy);
        app.IsIll = false;
        await TickUntilAsync(() => dapr["one"].Runtime.App!.IsHealthy);
        var before = app.Ticks.GetValueOrDefault("tick");
        await TickUntilAsync(() => app.Ticks.GetValueOrDefault("tick") > before);

        Assert.Equal(1, app.Questions);
    }

    private async Task<EmbeddedDapr> StartAsync(SidecarOptions app)
    {
        var dapr = await EmbeddedDapr.StartAsync(new() { Apps = [app], Time = _time }, Cancellation);
        await dapr.Ready.WaitAsync(Cancellation);
        return dapr;
    }

    private static ComponentResource Cron(string name, params (string Name, string Value)[] metadata) => Sidecars.Component(
        name, "bindings.cron", metadata.Any(field => field.Name == "schedule") ? metadata : [.. metadata, ("schedule", "@every 1s")]);

    private static async Task CallOfAsync(TestApp app, string call)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        limit.CancelAfter(TimeSpan.FromMinutes(1));
        var seen = new List<string>();
        while (!seen.Contains(call))
        {
            try
            {
                seen.Add(await app.NextCallAsync().AsTask().WaitAsync(limit.Token));
            }
            catch (OperationCanceledException) when (!Cancellation.IsCancellationRequested)
            {
                Assert.Fail($"expected {call}; came {string.Join(", ", seen)}");
            }
        }
    }

    /// <summary>Moves the clock on, a little for each look.</summary>
    private async Task TickUntilAsync(Func<bool> condition, TimeSpan? step = null)
    {
        for (var looks = 0; !condition(); looks++)
        {
            Assert.True(looks < 3000, "it did not come");
            _time.Advance(step ?? TimeSpan.FromMilliseconds(250));
            await Task.Delay(TimeSpan.FromMilliseconds(10), Cancellation);
        }
    }

    private sealed class GrpcApp(string wanted) : AppCallback.AppCallbackBase, IAsyncDisposable
    {
        private WebApplication _server = null!;
        private int _questions;

        public int Port => new Uri(_server.Urls.Single()).Port;

        public int Questions => Volatile.Read(ref _questions);

        public bool IsIll { get; set; }

        public ConcurrentDictionary<string, int> Ticks { get; } = new();

        public static async Task<GrpcApp> StartAsync(string wanted)
        {
            var app = new GrpcApp(wanted);
            var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
            builder.Services.AddRouting();
            builder.Services.AddGrpc();
            builder.Services.AddSingleton(app);
            builder.Services.AddSingleton(new Health(app));
            app._server = builder.Build();
            app._server.MapGrpcService<GrpcApp>();
            app._server.MapGrpcService<Health>();
            await app._server.StartAsync(Cancellation);
            return app;
        }

        public override Task<ListInputBindingsResponse> ListInputBindings(Empty request, ServerCallContext context)
        {
            Interlocked.Increment(ref _questions);
            return Task.FromResult(new ListInputBindingsResponse { Bindings = { wanted } });
        }

        public override Task<BindingEventResponse> OnBindingEvent(BindingEventRequest request, ServerCallContext context)
        {
            Ticks.AddOrUpdate(request.Name, 1, (_, ticks) => ticks + 1);
            return Task.FromResult(new BindingEventResponse());
        }

        public async ValueTask DisposeAsync()
        {
            await _server.StopAsync(new CancellationToken(canceled: true));
            await _server.DisposeAsync();
        }
    }

    private sealed class Health(GrpcApp app) : AppCallbackHealthCheck.AppCallbackHealthCheckBase
    {
        public override Task<HealthCheckResponse> HealthCheck(Empty request, ServerCallContext context) =>
            app.IsIll ? throw new RpcException(new Status(StatusCode.Unavailable, "ill")) : Task.FromResult(new HealthCheckResponse());
    }
}
