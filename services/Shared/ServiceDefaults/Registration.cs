using Dapr.Client;
using DaprOrders.EventSourcing;
using DaprOrders.EventSourcing.Projections;
using DaprOrders.EventSourcing.State;
using DaprOrders.ServiceDefaults.Access;
using DaprOrders.ServiceDefaults.CatchUp;
using DaprOrders.ServiceDefaults.DeadLetters;
using DaprOrders.ServiceDefaults.Errors;
using DaprOrders.ServiceDefaults.Health;
using DaprOrders.ServiceDefaults.Observability;
using DaprOrders.ServiceDefaults.Topics;
using DaprOrders.ServiceDefaults.Topology;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace DaprOrders.ServiceDefaults;

/// <summary>What every service has alike.</summary>
public static class Registration
{
    /// <summary>
    /// What also a process has that is no service of orders: where it listens, its logs and telemetry, the clock. For where it listens see
    /// <see cref="AddServiceDefaults"/>.
    /// </summary>
    public static WebApplicationBuilder AddProcessDefaults(this WebApplicationBuilder builder, string appId)
    {
        builder.Listen(appId);
        // Deliveries come in pieces of 4 KB, and to wait for each without a buffer is a call of the system more.
        builder.Services.Configure<SocketTransportOptions>(sockets => sockets.WaitForDataBeforeAllocatingBuffer = false);
        builder.AddLogging(appId);
        builder.AddTelemetry(appId);
        builder.Services.TryAddSingleton(TimeProvider.System);
        return builder;
    }

    /// <summary>
    /// Logging, telemetry, problem details, OpenAPI, health, the Dapr client, dead letters. The service listens on
    /// <c>http://localhost:{APP_PORT}</c>; without APP_PORT where <c>urls</c> says, or on its port of the run file.
    /// </summary>
    /// <param name="appId">The Dapr app id, for instance <c>ordering</c>.</param>
    public static WebApplicationBuilder AddServiceDefaults(this WebApplicationBuilder builder, string appId)
    {
        var services = builder.Services;
        var dapr = new DaprSettings(
            appId,
            builder.Configuration["Dapr:StateStore"] ?? "statestore",
            builder.Configuration["Dapr:PubSub"] ?? "pubsub",
            InstanceName.Of(builder.Configuration));

        builder.Configuration["Dapr:AppId"] = appId;
        builder.AddProcessDefaults(appId);
        builder.AddProblems();
        services.AddOpenApi(options => options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info.Title = $"DaprOrders {appId}";
            document.Servers?.Clear();
            return Task.CompletedTask;
        }));
        services.AddSingleton(dapr);
        services.AddDaprClient(client => client.UseGrpcChannelOptions(SidecarChannel.Options(builder.Configuration)));
        services.TryAddSingleton<IBulkStateReads>(_ => GrpcBulkStateReads.OfSidecar(builder.Configuration));
        services.AddSingleton(provider => new Documents(provider.GetRequiredService<DaprClient>(), provider.GetRequiredService<IBulkStateReads>(), dapr.StateStore));
        services.AddSingleton<TopicRegistry>();
        services.AddSingleton<UnknownTypes>();
        services.AddDeadLetters();
        services.AddOptions<CatchUpOptions>().BindConfiguration("CatchUp").ValidateDataAnnotations().ValidateOnStart();
        services.AddSingleton(provider => new RefusedEvents(
            provider.GetRequiredService<DeadLetterStore>(),
            provider.GetRequiredService<EventSigning>(),
            provider.GetRequiredService<IOptions<CatchUpOptions>>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILogger<RefusedEvents>>()));
        services.AddSingleton<FollowingPublishers>();
        services.AddHostedService(provider => provider.GetRequiredService<FollowingPublishers>());
        builder.AddAccess(() => new DaprClientBuilder().UseGrpcChannelOptions(SidecarChannel.Options(builder.Configuration)).Build());
        builder.AddReadiness();
        builder.AddTraffic();
        return builder;
    }

    /// <summary>
    /// /healthz/live, /healthz/ready, /metrics, /openapi/v1.json, /dead-letters, /catch-up, /sidecar, /traffic, the dead-letter subscription, errors as
    /// problem details, and who may call what.
    /// </summary>
    public static WebApplication MapServiceDefaults(this WebApplication app)
    {
        app.UseOrderIdInLogs();
        app.UseExceptionHandler();
        app.UseStatusCodePages();
        app.UseAccess();
        app.MapOpenApi().AllowAnonymous();
        app.MapHealth();
        app.MapMetrics();
        app.MapDeadLetters();
        app.MapCatchUp();
        app.MapSidecar();
        app.MapTraffic();
        return app;
    }

    private static void Listen(this WebApplicationBuilder builder, string appId)
    {
        var port = builder.Configuration["APP_PORT"] ?? (builder.Configuration["urls"] is null ? DefaultPort(appId) : null);
        if (port is not null)
            builder.WebHost.UseUrls(port == "0" ? "http://127.0.0.1:0" : $"http://localhost:{port}");
    }

    private static string? DefaultPort(string appId) => appId switch
    {
        "ordering" => "5101",
        "inventory" => "5102",
        "payments" => "5103",
        "shipping" => "5104",
        "reporting" => "5105",
        "console" => "5106",
        "payment-provider" => "5199",
        _ => null,
    };
}

/// <summary>Who this service is, and which components it uses (settings <c>Dapr:StateStore</c> and <c>Dapr:PubSub</c>).</summary>
/// <param name="Instance">The same after a restart, another in every replica.</param>
public sealed record DaprSettings(string AppId, string StateStore, string PubSub, string Instance);
