using EmbeddedSidecar.Hosting;
using Grpc.Core;

namespace EmbeddedSidecar.Api.Health;

/// <summary>GET /v1.0/healthz and /v1.0/healthz/outbound (pkg/api/http/healthz.go).</summary>
internal static class HealthApi
{
    public static void MapHealth(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        routes.MapGet("/v1.0/healthz", context =>
        {
            if (!runtime.IsReady)
                throw new ApiException(500, StatusCode.Internal, "ERR_HEALTH_NOT_READY", "dapr is not ready: [app]");

            if (context.Request.Query["appid"] is [var appId, ..] && appId != runtime.Options.AppId)
                throw new ApiException(500, StatusCode.Internal, "ERR_HEALTH_APPID_NOT_MATCH", "dapr app-id does not match");

            ApiErrors.NoContent(context);
            return Task.CompletedTask;
        });

        // Ready as soon as it answers: applications wait for this before they open their own port.
        routes.MapGet("/v1.0/healthz/outbound", context =>
        {
            ApiErrors.NoContent(context);
            return Task.CompletedTask;
        });
    }
}
