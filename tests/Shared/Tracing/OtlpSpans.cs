using Google.Protobuf;

namespace DaprOrders.Tests.Tracing;

/// <summary>What a collector was sent: ids in hexadecimal letters, the kind as Zipkin spells it, of the status only its words.</summary>
/// <param name="Links">The spans that it is linked with, as trace and span.</param>
internal sealed record CollectedSpan(
    string Service,
    string TraceId,
    string Id,
    string? ParentId,
    string Name,
    string Kind,
    IReadOnlyDictionary<string, string> Attributes,
    string? Error,
    IReadOnlyList<(string TraceId, string SpanId)> Links)
{
    public string this[string attribute] => Attributes.GetValueOrDefault(attribute, "");
}

/// <summary>opentelemetry/proto/collector/trace/v1/trace_service.proto: ExportTraceServiceRequest.</summary>
internal static class OtlpSpans
{
    private static readonly string[] Kinds = ["", "", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

    public static IEnumerable<CollectedSpan> Read(byte[] request)
    {
        foreach (var resourceSpans in ProtoFields.Of(request).Messages(1))
        {
            var service = Attributes(resourceSpans.Message(1), 1)["service.name"];
            foreach (var span in resourceSpans.Messages(2).SelectMany(scope => scope.Messages(2)))
            {
                var status = span.Message(15);
                yield return new(
                    service, Hex(span.Bytes(1)), Hex(span.Bytes(2)), Hex(span.Bytes(4)) is { Length: > 0 } parent ? parent : null, span.Text(5),
                    Kinds[(int)span.Number(6)], Attributes(span, 9), status.Number(3) == 2 ? status.Text(2) : null,
                    [.. span.Messages(13).Select(link => (Hex(link.Bytes(1)), Hex(link.Bytes(2))))]);
            }
        }
    }

    private static Dictionary<string, string> Attributes(ProtoFields of, int field) =>
        of.Messages(field).ToDictionary(attribute => attribute.Text(1), attribute => attribute.Message(2).Text(1));

    private static string Hex(ByteString bytes) => Convert.ToHexStringLower(bytes.Span);

    /// <summary>The fields of a message whose type is not known here.</summary>
    private sealed class ProtoFields
    {
        private readonly List<(int Field, ulong Number, ByteString Bytes)> _fields = [];

        public static ProtoFields Of(byte[] message)
        {
            var fields = new ProtoFields();
            var input = new CodedInputStream(message);
            while (input.ReadTag() is var tag && tag != 0)
            {
                var field = WireFormat.GetTagFieldNumber(tag);
                fields._fields.Add(WireFormat.GetTagWireType(tag) switch
                {
                    WireFormat.WireType.Varint => (field, input.ReadUInt64(), ByteString.Empty),
                    WireFormat.WireType.Fixed64 => (field, input.ReadFixed64(), ByteString.Empty),
                    WireFormat.WireType.Fixed32 => (field, input.ReadFixed32(), ByteString.Empty),
                    _ => (field, 0, input.ReadBytes()),
                });
            }

            return fields;
        }

        public IEnumerable<ProtoFields> Messages(int field) => _fields.Where(one => one.Field == field).Select(one => Of(one.Bytes.ToByteArray()));

        public ProtoFields Message(int field) => Messages(field).FirstOrDefault() ?? new();

        public ByteString Bytes(int field) => _fields.Find(one => one.Field == field).Bytes ?? ByteString.Empty;

        public string Text(int field) => Bytes(field).ToStringUtf8();

        public ulong Number(int field) => _fields.Find(one => one.Field == field).Number;
    }
}
