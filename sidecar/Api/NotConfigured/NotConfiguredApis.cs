using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Hosting;
using StatusCode = Grpc.Core.StatusCode;

namespace DaprOrders.Sidecar.Api.NotConfigured;

/// <summary>
/// The API whose components this sidecar does not have (output bindings): it answers as a daprd without such a component, and the log names
/// what is missing.
/// </summary>
internal static class NotConfiguredApis
{
    public static void MapNotConfigured(this IEndpointRouteBuilder routes, SidecarRuntime runtime) => routes.MapMethods(
        "/v1.0/bindings/{name}",
        Verbs.PostAndPut,
        context => throw Binding(runtime, $"{context.Request.Method} {context.Request.Path}", (string)context.Request.RouteValues["name"]!));

    public static void BindNotConfigured(this DaprGrpcMethods methods) => methods.Unary<InvokeBindingRequest, InvokeBindingResponse>(
        "InvokeBinding", (runtime, request, _) => throw Binding(runtime, "InvokeBinding", request.Name));

    private static ApiException Binding(SidecarRuntime runtime, string method, string name)
    {
        runtime.Logger.LogWarning("{AppId} called {Method}, but the embedded sidecar has no output bindings", runtime.Options.AppId, method);
        const string Code = "ERR_INVOKE_OUTPUT_BINDING";
        return new ApiException(500, StatusCode.Internal, Code, $"error invoking output binding {name}: couldn't find output binding {name}")
        {
            Details = [ApiException.Info(Code)],
        };
    }
}
