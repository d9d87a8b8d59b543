using Google.Protobuf;
using Grpc.Core;

namespace EmbeddedSidecar.Hosting;

/// <summary>Protobuf on the wire of gRPC. The package with the messages has neither server bases nor all clients, so methods are described here.</summary>
internal static class GrpcMarshaller<T>
    where T : class, IMessage<T>, new()
{
    private static readonly MessageParser<T> Parser = new(() => new T());

    public static readonly Marshaller<T> Instance = new(
        (message, context) =>
        {
            context.SetPayloadLength(message.CalculateSize());
            message.WriteTo(context.GetBufferWriter());
            context.Complete();
        },
        context => Parser.ParseFrom(context.PayloadAsReadOnlySequence()));
}
