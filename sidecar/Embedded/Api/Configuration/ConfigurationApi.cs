using System.Text.Json;
using System.Text.Json.Serialization;
using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Components.Configuration;
using EmbeddedSidecar.Hosting;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api.Configuration;

/// <summary>
/// GET /v1.0/configuration/{store}, /subscribe and /{id}/unsubscribe, and their gRPC twins, each under its older alpha name too (pkg/api/http/http.go,
/// pkg/api/grpc/grpc.go).
/// </summary>
internal static class ConfigurationApi
{
    /// <summary>What a key does not have is left out.</summary>
    public static JsonSerializerOptions JsonOptions { get; } = new(JsonSerializerDefaults.Web) { DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull };

    public static void MapConfiguration(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        foreach (var version in new[] { "v1.0", "v1.0-alpha1" })
        {
            var store = $"/{version}/configuration/{{store}}";
            routes.MapGet(store, context => GetAsync(runtime, context));
            routes.MapGet(store + "/subscribe", context => SubscribeAsync(runtime, context));
            routes.MapGet(store + "/{id}/unsubscribe", context => UnsubscribeAsync(runtime, context));
        }
    }

    public static void BindConfiguration(this DaprGrpcMethods methods)
    {
        foreach (var alpha in new[] { "", "Alpha1" })
        {
            methods.Unary<GetConfigurationRequest, GetConfigurationResponse>("GetConfiguration" + alpha, async (runtime, request, call) =>
            {
                var response = new GetConfigurationResponse();
                foreach (var (key, entry) in await Find(runtime, request.StoreName).GetAsync(request.Keys, call.CancellationToken))
                    response.Items[key] = Message(entry);
                return response;
            });
            methods.ServerStreaming<SubscribeConfigurationRequest, SubscribeConfigurationResponse>(
                "SubscribeConfiguration" + alpha,
                (runtime, request, responses, call) => runtime.ConfigurationSubscriptions.StreamAsync(
                    Find(runtime, request.StoreName, isDetailed: false), request.Keys, responses, call.CancellationToken));
            methods.Unary<UnsubscribeConfigurationRequest, UnsubscribeConfigurationResponse>("UnsubscribeConfiguration" + alpha, async (runtime, request, _) =>
                await runtime.ConfigurationSubscriptions.EndStreamAsync(request.Id)
                    ? new UnsubscribeConfigurationResponse { Ok = true }
                    : new UnsubscribeConfigurationResponse { Message = NoSubscription(request.Id, "subscription does not exist") });
        }
    }

    public static ConfigurationItem Message(ConfigurationEntry entry) => new() { Value = entry.Value ?? "", Version = entry.Version ?? "" };

    private static async Task GetAsync(SidecarRuntime runtime, HttpContext context)
    {
        var entries = await StoreOf(runtime, context).GetAsync(KeysOf(context), context.RequestAborted);
        if (entries.Count == 0)
            ApiErrors.NoContent(context);
        else
            await WriteAsync(context, entries);
    }

    private static async Task SubscribeAsync(SidecarRuntime runtime, HttpContext context)
    {
        var id = await runtime.ConfigurationSubscriptions.TellAppAsync(StoreOf(runtime, context), KeysOf(context), context.RequestAborted);
        await WriteAsync(context, new { id });
    }

    private static async Task UnsubscribeAsync(SidecarRuntime runtime, HttpContext context)
    {
        var (store, id) = (StoreOf(runtime, context), (string)context.Request.RouteValues["id"]!);
        if (await runtime.ConfigurationSubscriptions.EndAsync(store.Name, id))
        {
            await WriteAsync(context, new { ok = true });
            return;
        }

        context.Response.StatusCode = StatusCodes.Status500InternalServerError;
        await WriteAsync(context, new { message = NoSubscription(id, $"subscription with id {id} does not exist") });
    }

    private static string NoSubscription(string id, string reason) => $"failed to unsubscribe to configuration request {id}: {reason}";

    private static string[] KeysOf(HttpContext context) => [.. context.Request.Query["key"].OfType<string>()];

    private static Task WriteAsync<T>(HttpContext context, T answer) =>
        context.Response.WriteAsJsonAsync(answer, JsonOptions, "application/json", context.RequestAborted);

    private static ConfigurationStoreComponent StoreOf(SidecarRuntime runtime, HttpContext context) => Find(runtime, (string)context.Request.RouteValues["store"]!);

    /// <param name="isDetailed">A stream is refused without details.</param>
    private static ConfigurationStoreComponent Find(SidecarRuntime runtime, string name, bool isDetailed = true)
    {
        var stores = runtime.Loaded.ConfigurationStores;
        if (stores.TryGetValue(name, out var store))
            return store;
        if (stores.Count > 0)
            throw Refused(400, StatusCode.InvalidArgument, "ERR_CONFIGURATION_STORE_NOT_FOUND", $"configuration store {name} not found");
        runtime.Logger.LogWarning("{AppId} asked for configuration store {Store}, but it has no configuration store component", runtime.Options.AppId, name);
        throw Refused(500, StatusCode.FailedPrecondition, "ERR_CONFIGURATION_STORE_NOT_CONFIGURED", "configuration stores not configured");

        ApiException Refused(int http, StatusCode grpc, string code, string message) =>
            new(http, grpc, code, message) { GrpcDetails = isDetailed ? [ApiException.Info(code)] : [] };
    }
}
