using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Hosting;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api.Secrets;

/// <summary>GET /v1.0/secrets/{store}/{key} and /bulk, GetSecret and GetBulkSecret (pkg/api/universal/secrets.go).</summary>
internal static class SecretsApi
{
    public static void MapSecrets(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        routes.MapGet("/v1.0/secrets/{store}/bulk", async context =>
            await WriteAsync(context, await StoreOf(runtime, context).GetAllAsync(context.RequestAborted)));
        routes.MapGet("/v1.0/secrets/{store}/{key}", async context =>
            await WriteAsync(context, await StoreOf(runtime, context).GetAsync(RequestPath.LastSegment(context), context.RequestAborted)));
    }

    public static void BindSecrets(this DaprGrpcMethods methods)
    {
        methods.Unary<GetSecretRequest, GetSecretResponse>("GetSecret", async (runtime, request, call) =>
        {
            var secret = await Find(runtime, request.StoreName).GetAsync(request.Key, call.CancellationToken);
            var response = new GetSecretResponse();
            response.Data.Add(secret.ToDictionary());
            return response;
        });
        methods.Unary<GetBulkSecretRequest, GetBulkSecretResponse>("GetBulkSecret", async (runtime, request, call) =>
        {
            var response = new GetBulkSecretResponse();
            foreach (var (key, secret) in await Find(runtime, request.StoreName).GetAllAsync(call.CancellationToken))
            {
                var values = new SecretResponse();
                values.Secrets.Add(secret.ToDictionary());
                response.Data.Add(key, values);
            }

            return response;
        });
    }

    private static Task WriteAsync<T>(HttpContext context, T secrets) =>
        context.Response.WriteAsJsonAsync(secrets, (JsonSerializerOptions?)null, "application/json", context.RequestAborted);

    private static SecretStoreComponent StoreOf(SidecarRuntime runtime, HttpContext context) => Find(runtime, (string)context.Request.RouteValues["store"]!);

    private static SecretStoreComponent Find(SidecarRuntime runtime, string name)
    {
        var stores = runtime.Loaded.SecretStores;
        return stores.TryGetValue(name, out var store) ? store
            : stores.Count == 0
                ? throw new ApiException(500, StatusCode.FailedPrecondition, "ERR_SECRET_STORES_NOT_CONFIGURED", "secret store is not configured")
                : throw new ApiException(401, StatusCode.InvalidArgument, "ERR_SECRET_STORE_NOT_FOUND", $"failed finding secret store with key {name}");
    }
}
