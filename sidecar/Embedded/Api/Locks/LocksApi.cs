using System.Text.Json;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Components.Locks.Redis;
using EmbeddedSidecar.Hosting;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api.Locks;

/// <summary>POST /v1.0-alpha1/lock/{store} and /unlock/{store}, TryLockAlpha1 and UnlockAlpha1 (pkg/api/universal/lock.go, pkg/api/http/lock.go).</summary>
internal static class LocksApi
{
    public static void MapLocks(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        routes.MapPost("/v1.0-alpha1/lock/{store}", async context =>
        {
            var request = await ProtoJsonBody.ReadAsync<TryLockRequest>(context);
            request.StoreName = StoreOf(context);
            var success = await TryLockAsync(runtime, request, context.RequestAborted);
            await WriteAsync(context, json => json.WriteBoolean("success", success));
        });
        routes.MapPost("/v1.0-alpha1/unlock/{store}", async context =>
        {
            var request = await ProtoJsonBody.ReadAsync<UnlockRequest>(context);
            request.StoreName = StoreOf(context);
            var status = await UnlockAsync(runtime, request, context.RequestAborted);
            await WriteAsync(context, json => json.WriteNumber("status", (int)status));
        });
    }

    public static void BindLocks(this DaprGrpcMethods methods)
    {
        methods.Unary<TryLockRequest, TryLockResponse>("TryLockAlpha1", async (runtime, request, call) =>
            new TryLockResponse { Success = await TryLockAsync(runtime, request, call.CancellationToken) });
        methods.Unary<UnlockRequest, UnlockResponse>("UnlockAlpha1", async (runtime, request, call) =>
            new UnlockResponse { Status = await UnlockAsync(runtime, request, call.CancellationToken) });
    }

    private static async Task<bool> TryLockAsync(SidecarRuntime runtime, TryLockRequest request, CancellationToken cancellationToken)
    {
        if (request.ExpiryInSeconds <= 0)
            throw Malformed($"ExpiryInSeconds is not positive in lock store {request.StoreName}");

        var store = Find(runtime, request.StoreName, request.ResourceId, request.LockOwner);
        return await store.TryLockAsync(request.ResourceId, request.LockOwner, TimeSpan.FromSeconds(request.ExpiryInSeconds), cancellationToken);
    }

    private static async Task<UnlockResponse.Types.Status> UnlockAsync(SidecarRuntime runtime, UnlockRequest request, CancellationToken cancellationToken)
    {
        var store = Find(runtime, request.StoreName, request.ResourceId, request.LockOwner);
        return await store.UnlockAsync(request.ResourceId, request.LockOwner, cancellationToken) switch
        {
            UnlockResult.Success => UnlockResponse.Types.Status.Success,
            UnlockResult.DoesNotExist => UnlockResponse.Types.Status.LockDoesNotExist,
            _ => UnlockResponse.Types.Status.LockBelongsToOthers,
        };
    }

    private static LockStoreComponent Find(SidecarRuntime runtime, string name, string resource, string owner)
    {
        var stores = runtime.Loaded.LockStores;
        if (stores.Count == 0)
        {
            runtime.Logger.LogWarning("{AppId} asked for lock store {Store}, but it has no lock store component", runtime.Options.AppId, name);
            throw new ApiException(500, StatusCode.FailedPrecondition, "ERR_LOCK_STORE_NOT_CONFIGURED", "lock store is not configured");
        }

        if (resource.Length == 0)
            throw Malformed($"ResourceId is empty in lock store {name}");
        if (owner.Length == 0)
            throw Malformed($"LockOwner is empty in lock store {name}");
        return stores.TryGetValue(name, out var store)
            ? store
            : throw new ApiException(400, StatusCode.InvalidArgument, "ERR_LOCK_STORE_NOT_FOUND", $"lock store {name} not found");
    }

    private static ApiException Malformed(string message) => new(400, StatusCode.InvalidArgument, "ERR_MALFORMED_REQUEST", message);

    private static string StoreOf(HttpContext context) => (string)context.Request.RouteValues["store"]!;

    private static async Task WriteAsync(HttpContext context, Action<Utf8JsonWriter> writeField)
    {
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.Body);
        json.WriteStartObject();
        writeField(json);
        json.WriteEndObject();
    }
}
