using DaprOrders.Sidecar.Api.Actors;
using DaprOrders.Sidecar.Api.Bindings;
using DaprOrders.Sidecar.Api.Configuration;
using DaprOrders.Sidecar.Api.Health;
using DaprOrders.Sidecar.Api.Invocation;
using DaprOrders.Sidecar.Api.Locks;
using DaprOrders.Sidecar.Api.Metadata;
using DaprOrders.Sidecar.Api.NotConfigured;
using DaprOrders.Sidecar.Api.PubSub;
using DaprOrders.Sidecar.Api.Secrets;
using DaprOrders.Sidecar.Api.State;

namespace DaprOrders.Sidecar.Hosting;

/// <summary>The table of contents of a sidecar: its APIs over HTTP and gRPC, and the parts that work by themselves.</summary>
internal static class SidecarApis
{
    public static void MapHttp(IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        routes.MapHealth(runtime);
        routes.MapMetadata(runtime);
        routes.MapSecrets(runtime);
        routes.MapConfiguration(runtime);
        routes.MapLocks(runtime);
        routes.MapNotConfigured(runtime);
        routes.MapState(runtime);
        routes.MapPublish(runtime);
        routes.MapActors(runtime);
        // Invocation takes what is left: every path and verb that is no route may go to an application (RequestPipeline).
    }

    public static void BindGrpc(DaprGrpcMethods methods)
    {
        methods.BindMetadata();
        methods.BindSecrets();
        methods.BindConfiguration();
        methods.BindLocks();
        methods.BindNotConfigured();
        methods.BindState();
        methods.BindPubSub();
        methods.BindActors();
        methods.BindInvocation();
    }

    /// <summary>In the order in which they start.</summary>
    public static IReadOnlyList<ISidecarPart> Parts(SidecarRuntime runtime) => [runtime.Actors, runtime.Subscriptions, runtime.Outboxes, new CronBindings(runtime)];
}
