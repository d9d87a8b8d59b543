using EmbeddedSidecar.Api.Actors;
using EmbeddedSidecar.Api.Bindings;
using EmbeddedSidecar.Api.Configuration;
using EmbeddedSidecar.Api.Conversations;
using EmbeddedSidecar.Api.Cryptography;
using EmbeddedSidecar.Api.Health;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Api.Jobs;
using EmbeddedSidecar.Api.Locks;
using EmbeddedSidecar.Api.Metadata;
using EmbeddedSidecar.Api.PubSub;
using EmbeddedSidecar.Api.Secrets;
using EmbeddedSidecar.Api.State;
using EmbeddedSidecar.Api.Workflows;

namespace EmbeddedSidecar.Hosting;

/// <summary>The table of contents of a sidecar: its APIs over HTTP and gRPC, and the parts that work by themselves.</summary>
internal static class SidecarApis
{
    public static void MapHttp(IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        routes.MapHealth(runtime);
        routes.MapMetadata(runtime);
        routes.MapSecrets(runtime);
        routes.MapOutputBindings(runtime);
        routes.MapWorkflows(runtime);
        routes.MapConfiguration(runtime);
        routes.MapLocks(runtime);
        routes.MapCryptography(runtime);
        routes.MapConversations(runtime);
        routes.MapState(runtime);
        routes.MapPublish(runtime);
        routes.MapActors(runtime);
        routes.MapJobs(runtime);
        // Invocation takes what is left: every path and verb that is no route may go to an application (RequestPipeline).
    }

    public static void BindGrpc(DaprGrpcMethods methods)
    {
        methods.BindMetadata();
        methods.BindSecrets();
        methods.BindOutputBindings();
        methods.BindWorkflows();
        methods.BindConfiguration();
        methods.BindLocks();
        methods.BindCryptography();
        methods.BindConversations();
        methods.BindState();
        methods.BindPubSub();
        methods.BindActors();
        methods.BindJobs();
        methods.BindInvocation();
    }

    /// <summary>In the order in which they start.</summary>
    public static IReadOnlyList<ISidecarPart> Parts(SidecarRuntime runtime) =>
        [runtime.Actors, runtime.Subscriptions, runtime.Outboxes, new CronBindings(runtime), new JobDelivery(runtime)];
}
