using Grpc.Net.Client;
using Microsoft.Extensions.Configuration;

namespace DaprOrders.EventSourcing.State;

/// <summary>The gRPC channel to this application's sidecar.</summary>
public static class SidecarChannel
{
    /// <summary>Answers of many keys are large; the token goes with every call; a caller that gives up gets an OperationCanceledException.</summary>
    public static GrpcChannelOptions Options(IConfiguration configuration) => new()
    {
        HttpHandler = new ApiTokenHandler(configuration["DAPR_API_TOKEN"]),
        ThrowOperationCanceledOnCancellation = true,
        MaxReceiveMessageSize = 64 * 1024 * 1024,
    };

    /// <summary>DAPR_GRPC_ENDPOINT, or DAPR_GRPC_PORT on this machine, as for the Dapr client.</summary>
    public static GrpcChannel Open(IConfiguration configuration) => GrpcChannel.ForAddress(
        configuration["DAPR_GRPC_ENDPOINT"] is { Length: > 0 } endpoint ? endpoint : $"http://127.0.0.1:{configuration["DAPR_GRPC_PORT"] ?? "50001"}",
        Options(configuration));
}
