using Dapr.Client.Autogen.Grpc.v1;
using EmbeddedSidecar.Hosting;
using Google.Protobuf;
using StatusCode = Grpc.Core.StatusCode;

namespace EmbeddedSidecar.Api.NotConfigured;

/// <summary>
/// The APIs whose components this sidecar does not have (configuration, locks, output bindings): they answer as a daprd without such a
/// component, and the log names what is missing.
/// </summary>
internal static class NotConfiguredApis
{
    private const string Bindings = "output bindings";
    private const string Configurations = "configuration stores";
    private const string Locks = "lock stores";

    public static void MapNotConfigured(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        Refuse("/v1.0/bindings/{name}", Verbs.PostAndPut, Bindings, context => Binding((string)context.Request.RouteValues["name"]!));
        foreach (var version in new[] { "v1.0", "v1.0-alpha1" })
        {
            Refuse($"/{version}/configuration/{{store}}", ["GET"], Configurations, _ => Configuration());
            Refuse($"/{version}/configuration/{{store}}/subscribe", ["GET"], Configurations, _ => Configuration());
            Refuse($"/{version}/configuration/{{store}}/{{id}}/unsubscribe", ["GET"], Configurations, _ => Configuration());
        }

        Refuse("/v1.0-alpha1/lock/{store}", ["POST"], Locks, _ => Lock());
        Refuse("/v1.0-alpha1/unlock/{store}", ["POST"], Locks, _ => Lock());

        void Refuse(string pattern, string[] verbs, string missing, Func<HttpContext, ApiException> refusal) => routes.MapMethods(pattern, verbs, context =>
        {
            Report(runtime, $"{context.Request.Method} {context.Request.Path}", missing);
            throw refusal(context);
        });
    }

    public static void BindNotConfigured(this DaprGrpcMethods methods)
    {
        Refuse<InvokeBindingRequest, InvokeBindingResponse>("InvokeBinding", Bindings, request => Binding(request.Name));
        Refuse<GetConfigurationRequest, GetConfigurationResponse>("GetConfiguration", Configurations, _ => Configuration());
        Refuse<GetConfigurationRequest, GetConfigurationResponse>("GetConfigurationAlpha1", Configurations, _ => Configuration());
        Refuse<UnsubscribeConfigurationRequest, UnsubscribeConfigurationResponse>("UnsubscribeConfiguration", Configurations, _ => Configuration());
        methods.ServerStreaming<SubscribeConfigurationRequest, SubscribeConfigurationResponse>("SubscribeConfiguration", (runtime, _, _, _) =>
        {
            Report(runtime, "SubscribeConfiguration", Configurations);
            throw Configuration();
        });
        Refuse<TryLockRequest, TryLockResponse>("TryLockAlpha1", Locks, _ => Lock());
        Refuse<UnlockRequest, UnlockResponse>("UnlockAlpha1", Locks, _ => Lock());

        void Refuse<TRequest, TResponse>(string name, string missing, Func<TRequest, ApiException> refusal)
            where TRequest : class, IMessage<TRequest>, new()
            where TResponse : class, IMessage<TResponse>, new() =>
            methods.Unary<TRequest, TResponse>(name, (runtime, request, _) =>
            {
                Report(runtime, name, missing);
                throw refusal(request);
            });
    }

    private static void Report(SidecarRuntime runtime, string method, string missing) => runtime.Logger.LogWarning(
        "{AppId} called {Method}, but the embedded sidecar has no {Missing}", runtime.Options.AppId, method, missing);

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
