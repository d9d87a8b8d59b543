using DaprOrders.Sidecar.Tests.Hosting;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.State;

/// <summary>How a read that the store fails is told.</summary>
public sealed class FailedGetTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Of_one_key_store_and_key_are_named()
    {
        await using var dapr = await StartAsync();
        using var http = Sidecars.Http(dapr["one"]);
        using var channel = Sidecars.Grpc(dapr["one"]);

        using var answer = await http.GetAsync(new Uri("/v1.0/state/store/a", UriKind.Relative), Cancellation);
        var refused = await Assert.ThrowsAsync<RpcException>(
            async () => await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).GetStateAsync(new() { StoreName = "store", Key = "a" }, cancellationToken: Cancellation));

        Assert.Contains("\"fail to get a from state store store: the disk is gone\"", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
        Assert.Equal((StatusCode.Internal, "fail to get a from state store store: the disk is gone"), (refused.StatusCode, refused.Status.Detail));
    }

    [Fact]
    public async Task Of_many_keys_gRPC_tells_only_what_the_store_says()
    {
        await using var dapr = await StartAsync();
        using var channel = Sidecars.Grpc(dapr["one"]);

        var refused = await Assert.ThrowsAsync<RpcException>(
            async () => await new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel).GetBulkStateAsync(new() { StoreName = "store", Keys = { "a" } }, cancellationToken: Cancellation));

        Assert.Equal((StatusCode.Unknown, "the disk is gone"), (refused.StatusCode, refused.Status.Detail));
        Assert.Null(refused.Trailers.Get("grpc-status-details-bin"));
    }

    private static Task<EmbeddedDapr> StartAsync() => EmbeddedDapr.StartAsync(
        new() { Apps = [Sidecars.App("one", Sidecars.Component("store", "state.in-memory"))], BeforeCall = (_, _) => throw new IOException("the disk is gone") },
        Cancellation);
}
