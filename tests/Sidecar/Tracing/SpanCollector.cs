using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text.Json;
using DaprOrders.Sidecar.Tests.Hosting;
using EmbeddedSidecar.Resources;
using Google.Protobuf;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace DaprOrders.Sidecar.Tests.Tracing;

/// <summary>What a collector was sent: ids in hexadecimal letters, the kind as Zipkin spells it, of the status only its words.</summary>
internal sealed record CollectedSpan(
    string Service, string TraceId, string Id, string? ParentId, string Name, string Kind, IReadOnlyDictionary<string, string> Attributes, string? Error)
{
    public string this[string attribute] => Attributes.GetValueOrDefault(attribute, "");
}

/// <summary>A server that takes spans as Zipkin does, or as a collector of OpenTelemetry, over HTTP or gRPC.</summary>
internal sealed class SpanCollector : IAsyncDisposable
{
    private static readonly string[] Kinds = ["", "", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

    private readonly ConcurrentQueue<CollectedSpan> _spans = new();
    private TestApp _server = null!;

    public IReadOnlyList<CollectedSpan> Spans => [.. _spans];

    public IHeaderDictionary LastHeaders => _server.LastHeaders;

    private string Authority => $"127.0.0.1:{_server.Port}";

    public TracingSettings Zipkin => new(1, Zipkin: new Uri($"http://{Authority}/api/v2/spans"));

    public TracingSettings OtelHttp => new(1, Otel: new(new Uri($"http://{Authority}/v1/traces"), IsHttp: true, [("x-tenant", "a b,c")], TimeSpan.FromSeconds(5)));

    public TracingSettings OtelGrpc => new(1, Otel: new(new Uri($"http://{Authority}"), IsHttp: false, [("x-tenant", "a b,c")], TimeSpan.FromSeconds(5)));

    public static async Task<SpanCollector> StartAsync(bool overGrpc = false)
    {
        var collector = new SpanCollector();
        collector._server = await TestApp.StartAsync(
            collector.TakeAsync, listen: listen => listen.Protocols = overGrpc ? HttpProtocols.Http2 : HttpProtocols.Http1);
        return collector;
    }

    public ValueTask DisposeAsync() => _server.DisposeAsync();

    private async Task TakeAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body, context.RequestAborted);
        switch (context.Request.Path.Value)
        {
            case "/api/v2/spans":
                ReadZipkin(body.ToArray());
                break;
            case "/v1/traces":
                ReadOtlp(body.ToArray());
                break;
            case "/opentelemetry.proto.collector.trace.v1.TraceService/Export":
                // One message: a byte for its compression, four for its length.
                Assert.Equal(body.Length - 5, BinaryPrimitives.ReadInt32BigEndian(body.ToArray().AsSpan(1)));
                ReadOtlp(body.ToArray()[5..]);
                context.Response.ContentType = "application/grpc";
                context.Response.AppendTrailer("grpc-status", "0");
                await context.Response.Body.WriteAsync(new byte[5], context.RequestAborted);
                break;
            default:
                context.Response.StatusCode = StatusCodes.Status404NotFound;
                break;
        }
    }

    private void ReadZipkin(byte[] body)
    {
        using var json = JsonDocument.Parse(body);
        foreach (var span in json.RootElement.EnumerateArray())
        {
            var tags = span.TryGetProperty("tags", out var given) ? given.EnumerateObject().ToDictionary(tag => tag.Name, tag => tag.Value.ToString()) : [];
            _spans.Enqueue(new(
                span.GetProperty("localEndpoint").GetProperty("serviceName").GetString()!, Text("traceId")!, Text("id")!, Text("parentId"), Text("name")!,
                Text("kind") ?? "", tags, tags.GetValueOrDefault("error")));

            string? Text(string field) => span.TryGetProperty(field, out var value) ? value.GetString() : null;
        }
    }

    /// <summary>opentelemetry/proto/collector/trace/v1/trace_service.proto: ExportTraceServiceRequest.</summary>
    private void ReadOtlp(byte[] body)
    {
        foreach (var resourceSpans in ProtoFields.Of(body).Messages(1))
        {
            var service = Attributes(resourceSpans.Message(1), 1)["service.name"];
            foreach (var span in resourceSpans.Messages(2).SelectMany(scope => scope.Messages(2)))
            {
                var status = span.Message(15);
                _spans.Enqueue(new(
                    service, Hex(span.Bytes(1)), Hex(span.Bytes(2)), Hex(span.Bytes(4)) is { Length: > 0 } parent ? parent : null, span.Text(5),
                    Kinds[(int)span.Number(6)], Attributes(span, 9), status.Number(3) == 2 ? status.Text(2) : null));
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
