using Dapr;
using Dapr.Client.Autogen.Grpc.v1;
using Grpc.Core;
using Microsoft.Extensions.Configuration;

namespace DaprOrders.EventSourcing.State;

/// <summary>By the generated client of Dapr's gRPC API.</summary>
public sealed class GrpcBulkStateReads(CallInvoker sidecar) : IBulkStateReads
{
    private readonly Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient _dapr = new(sidecar);

    /// <summary>Of this application's sidecar: <see cref="SidecarChannel"/>.</summary>
    public static GrpcBulkStateReads OfSidecar(IConfiguration configuration) => new(SidecarChannel.Open(configuration).CreateCallInvoker());

    public async Task<IReadOnlyDictionary<string, StateValue>> ReadAsync(
        string stateStore, IReadOnlyCollection<string> keys, int parallelism, CancellationToken cancellationToken)
    {
        var request = new GetBulkStateRequest { StoreName = stateStore, Parallelism = parallelism };
        request.Keys.Add(keys);
        GetBulkStateResponse response;
        try
        {
            response = await _dapr.GetBulkStateAsync(request, cancellationToken: cancellationToken);
        }
        catch (RpcException exception)
        {
            throw new DaprException($"Bulk read of {keys.Count} keys from {stateStore} failed: {exception.Status.Detail}", exception);
        }

        var found = new Dictionary<string, StateValue>(response.Items.Count);
        foreach (var item in response.Items)
        {
            if (item.Error.Length > 0)
            {
                throw new DaprException($"Key {item.Key} of {stateStore} could not be read: {item.Error}");
            }

            if (item.Etag.Length > 0)
            {
                found[item.Key] = new StateValue(item.Data.Memory, item.Etag);
            }
        }

        return found;
    }
}
