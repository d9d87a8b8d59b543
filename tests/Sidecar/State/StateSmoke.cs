using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.Sidecar.Tests.Hosting;
using Google.Protobuf;
using Grpc.Core;

namespace DaprOrders.Sidecar.Tests.State;

public sealed class StateSmoke
{
    [Fact]
    public async Task What_is_saved_over_http_is_read_over_grpc()
    {
        await using var dapr = await Sidecars.StartAsync(Sidecars.App("one", Sidecars.Component("store", "state.in-memory")));
        using var http = Sidecars.Http(dapr["one"]);
        using var channel = Sidecars.Grpc(dapr["one"]);
        var client = new Dapr.Client.Autogen.Grpc.v1.Dapr.DaprClient(channel);
        using var body = new StringContent("""[{"key":"a","value":{"z":1.10,"a":"<é🍵"}}]""");
        using var saved = await http.PostAsync(new Uri("/v1.0/state/store", UriKind.Relative), body, TestContext.Current.CancellationToken);
        Assert.Equal(204, (int)saved.StatusCode);

        var got = await client.GetStateAsync(new GetStateRequest { StoreName = "store", Key = "a" }, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal("""{"a":"\u003cé🍵","z":1.1}""", got.Data.ToStringUtf8());
        var e = await Assert.ThrowsAsync<RpcException>(async () => await client.SaveStateAsync(
            new SaveStateRequest { StoreName = "store", States = { new StateItem { Key = "a", Etag = new Etag { Value = "x" }, Value = ByteString.CopyFromUtf8("1") } } },
            cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(StatusCode.Aborted, e.StatusCode);
    }
}
