using Dapr;
using Dapr.Client.Autogen.Grpc.v1;
using DaprOrders.EventSourcing.State;
using Google.Protobuf;
using Grpc.Core;

namespace DaprOrders.EventSourcing.Tests.State;

/// <summary>A bulk read says of each key whether it is there; daprd's answer has an error for each that could not be read (pkg/api/grpc/grpc.go).</summary>
public sealed class GrpcBulkStateReadsTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Keys_that_are_not_there_are_left_out()
    {
        var reads = Answered(new BulkStateItem { Key = "a", Data = ByteString.CopyFromUtf8("1"), Etag = "7" }, new BulkStateItem { Key = "missing" });

        var found = await reads.ReadAsync("statestore", ["a", "missing"], 0, Cancel);

        Assert.Equal(("a", "7"), (Assert.Single(found).Key, found["a"].ETag));
        Assert.Equal("1"u8.ToArray(), found["a"].Value.ToArray());
    }

    [Fact]
    public async Task A_key_that_could_not_be_read_is_not_taken_for_one_that_is_not_there()
    {
        var reads = Answered(new BulkStateItem { Key = "a", Etag = "7" }, new BulkStateItem { Key = "b", Error = "connection refused" });

        var failed = await Assert.ThrowsAsync<DaprException>(() => reads.ReadAsync("statestore", ["a", "b"], 0, Cancel));

        Assert.Equal("Key b of statestore could not be read: connection refused", failed.Message);
    }

    private static GrpcBulkStateReads Answered(params BulkStateItem[] items) => new(new Sidecar(new GetBulkStateResponse { Items = { items } }));

    private sealed class Sidecar(GetBulkStateResponse answer) : CallInvoker
    {
        public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request)
        {
            Assert.Equal("GetBulkState", method.Name);
            return new AsyncUnaryCall<TResponse>(
                Task.FromResult((TResponse)(object)answer), Task.FromResult(new Metadata()), () => Status.DefaultSuccess, () => [], () => { });
        }

        public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
            throw new NotSupportedException();

        public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => throw new NotSupportedException();

        public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();

        public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(
            Method<TRequest, TResponse> method, string? host, CallOptions options) => throw new NotSupportedException();
    }
}
