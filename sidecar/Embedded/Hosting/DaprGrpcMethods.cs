using EmbeddedSidecar.Tracing;
using Google.Protobuf;
using Grpc.AspNetCore.Server.Model;
using Grpc.Core;

namespace EmbeddedSidecar.Hosting;

/// <summary>
/// The methods of the service <c>dapr.proto.runtime.v1.Dapr</c>. The package with the messages has no server base, so the APIs add their methods
/// here; what they throw is translated in this one place.
/// </summary>
internal sealed class DaprGrpcMethods : IServiceMethodProvider<SidecarRuntime>
{
    public const string ServiceName = "dapr.proto.runtime.v1.Dapr";

    private readonly List<Action<ServiceMethodProviderContext<SidecarRuntime>>> _methods = [];

    public void Unary<TRequest, TResponse>(string name, Func<SidecarRuntime, TRequest, ServerCallContext, Task<TResponse>> handler)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        _methods.Add(context => context.AddUnaryMethod(
            Describe<TRequest, TResponse>(MethodType.Unary, name),
            [],
            async (runtime, request, call) =>
            {
                var status = StatusCode.Unknown;
                using var span = GrpcSpans.Begin(runtime, call, request);
                try
                {
                    var response = await handler(runtime, request, call);
                    status = StatusCode.OK;
                    return response;
                }
                catch (RpcException e)
                {
                    span?.Fail(e.Status.Detail);
                    throw;
                }
                catch (Exception e) when (ApiErrors.ToRpc(e, call, runtime) is { } translated)
                {
                    status = translated.StatusCode;
                    span?.Fail(translated.Status.Detail);
                    throw translated;
                }
                finally
                {
                    runtime.Metrics.GrpcServed(call.Method, status);
                }
            }));

    public void ServerStreaming<TRequest, TResponse>(
        string name,
        Func<SidecarRuntime, TRequest, IServerStreamWriter<TResponse>, ServerCallContext, Task> handler)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        _methods.Add(context => context.AddServerStreamingMethod(
            Describe<TRequest, TResponse>(MethodType.ServerStreaming, name),
            [],
            (runtime, request, responses, call) => TranslateAsync(() => handler(runtime, request, responses, call), call, runtime)));

    public void Duplex<TRequest, TResponse>(
        string name,
        Func<SidecarRuntime, IAsyncStreamReader<TRequest>, IServerStreamWriter<TResponse>, ServerCallContext, Task> handler)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        _methods.Add(context => context.AddDuplexStreamingMethod(
            Describe<TRequest, TResponse>(MethodType.DuplexStreaming, name),
            [],
            (runtime, requests, responses, call) => TranslateAsync(() => handler(runtime, requests, responses, call), call, runtime)));

    public void OnServiceMethodDiscovery(ServiceMethodProviderContext<SidecarRuntime> context)
    {
        foreach (var add in _methods)
            add(context);
    }

    private static async Task TranslateAsync(Func<Task> handle, ServerCallContext call, SidecarRuntime runtime)
    {
        using var span = GrpcSpans.Begin(runtime, call);
        try
        {
            await handle();
        }
        catch (Exception e) when (ApiErrors.ToRpc(e, call, runtime) is { } translated)
        {
            span?.Fail(translated.Status.Detail);
            throw translated;
        }
    }

    private static Method<TRequest, TResponse> Describe<TRequest, TResponse>(MethodType type, string name)
        where TRequest : class, IMessage<TRequest>, new()
        where TResponse : class, IMessage<TResponse>, new() =>
        new(type, ServiceName, name, GrpcMarshaller<TRequest>.Instance, GrpcMarshaller<TResponse>.Instance);
}
