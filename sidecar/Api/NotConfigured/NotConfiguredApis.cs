using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Hosting;
using Google.Protobuf;
using StatusCode = Grpc.Core.StatusCode;

namespace DaprOrders.Sidecar.Api.NotConfigured;

/// <summary>
/// The APIs whose components this sidecar does not have (configuration, locks, output bindings): they answer as a daprd without such a
/// component, and the log names what is missing.
/// </summary>
internal static class NotConfiguredApis
{
    private static readonly string[] PostAndPut = ["POST", "PUT"];

    public static void MapNotConfigured(this IEndpointRouteBuilder routes)
    {
        routes.MapMethods("/v1.0/bindings/{name}", PostAndPut, context => throw Binding((string)context.Request.RouteValues["name"]!));
        foreach (var version in new[] { "v1.0", "v1.0-alpha1" })
        {
            routes.MapGet($"/{version}/configuration/{{store}}", _ => throw Configuration());
            routes.MapGet($"/{version}/configuration/{{store}}/subscribe", _ => throw Configuration());
            routes.MapGet($"/{version}/configuration/{{store}}/{{id}}/unsubscribe", _ => throw Configuration());
        }

        routes.MapPost("/v1.0-alpha1/lock/{store}", _ => throw Lock());
        routes.MapPost("/v1.0-alpha1/unlock/{store}", _ => throw Lock());
    }

    public static void BindNotConfigured(this DaprGrpcMethods methods)
    {
        Refuse<InvokeBindingRequest, InvokeBindingResponse>(methods, "InvokeBinding", "output bindings", request => Binding(request.Name));
        Refuse<GetConfigurationRequest, GetConfigurationResponse>(methods, "GetConfiguration", "configuration stores", _ => Configuration());
        Refuse<GetConfigurationRequest, GetConfigurationResponse>(methods, "GetConfigurationAlpha1", "configuration stores", _ => Configuration());
        Refuse<UnsubscribeConfigurationRequest, UnsubscribeConfigurationResponse>(
            methods, "UnsubscribeConfiguration", "configuration stores", _ => Configuration());
        methods.ServerStreaming<SubscribeConfigurationRequest, SubscribeConfigurationResponse>(
            "SubscribeConfiguration", (_, _, _, _) => throw Configuration());
        Refuse<TryLockRequest, TryLockResponse>(methods, "TryLockAlpha1", "lock stores", _ => Lock());
        Refuse<UnlockRequest, UnlockResponse>(methods, "UnlockAlpha1", "lock stores", _ => Lock());
    }

    private static void Refuse<TRequest, TResponse>(DaprGrpcMethods methods, string name, string missing, Func<TRequest, ApiException> refusal)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        methods.Unary<TRequest, TResponse>(name, (runtime, request, _) =>
        {
            runtime.Logger.LogWarning("{Method} was called, but the embedded sidecar has no {Missing}", name, missing);
            throw refusal(request);
        });

    private static ApiException Binding(string name)
    {
        const string Code = "ERR_INVOKE_OUTPUT_BINDING";
        return new ApiException(500, StatusCode.Internal, Code, $"error invoking output binding {name}: couldn't find output binding {name}")
        {
            Details = [ApiException.Info(Code)],
        };
    }

    private static ApiException Configuration()
    {
        const string Code = "ERR_CONFIGURATION_STORE_NOT_CONFIGURED";
        return new ApiException(500, StatusCode.FailedPrecondition, Code, "configuration stores not configured") { Details = [ApiException.Info(Code)] };
    }

    private static ApiException Lock() => new(500, StatusCode.FailedPrecondition, "ERR_LOCK_STORE_NOT_CONFIGURED", "lock store is not configured");
}
