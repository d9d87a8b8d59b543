using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace DaprOrders.Bench.Sidecars;

/// <summary>
/// Calls of a sidecar's gRPC API that cost their caller little: each message was written before, and of an answer only its length is looked at. So what
/// is measured is the sidecar, and neither a client's objects nor its JSON.
/// </summary>
internal sealed class RawCalls(string address) : IDisposable
{
    private static readonly Marshaller<byte[]> Written = Marshallers.Create((byte[] message) => message, bytes => bytes);
    private static readonly Marshaller<Answer> Counted = Marshallers.Create<Answer>(
        (_, _) => throw new NotSupportedException(), context => new Answer(context.PayloadAsReadOnlySequence().Length));

    private readonly GrpcChannel _channel = GrpcChannel.ForAddress(address, new GrpcChannelOptions { MaxReceiveMessageSize = null });

    /// <summary>Makes the call whose message has that number, again from the first after the last.</summary>
    /// <param name="fewest">Bytes of a whole answer; one that is shorter lacks what was asked for, and where none are expected, one that is longer tells of failures.</param>
    public Func<int, CancellationToken, Task> Of<TRequest>(string name, IEnumerable<TRequest> messages, int fewest = 0)
        where TRequest : IMessage<TRequest>
    {
        var method = new Method<byte[], Answer>(MethodType.Unary, Dapr.Client.Autogen.Grpc.v1.Dapr.Descriptor.FullName, name, Written, Counted);
        var invoker = _channel.CreateCallInvoker();
        byte[][] written = [.. messages.Select(message => message.ToByteArray())];
        return async (number, stop) =>
        {
            using var call = invoker.AsyncUnaryCall(method, null, new CallOptions(cancellationToken: stop), written[number % written.Length]);
            var length = (await call.ResponseAsync).Length;
            if (length < fewest || (fewest == 0 && length > 0))
                throw new InvalidOperationException($"{name}: expected an answer of {(fewest > 0 ? "at least " : "")}{fewest} bytes, got {length}");
        };
    }

    public void Dispose() => _channel.Dispose();

    private sealed record Answer(long Length);
}
