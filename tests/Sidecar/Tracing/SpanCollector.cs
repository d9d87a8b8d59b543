using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Text.Json;
using DaprOrders.Sidecar.Tests.Hosting;
using DaprOrders.Tests.Tracing;
using EmbeddedSidecar.Resources;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace DaprOrders.Sidecar.Tests.Tracing;

/// <summary>A server that takes spans as Zipkin does, or as a collector of OpenTelemetry, over HTTP or gRPC.</summary>
internal sealed class SpanCollector : IAsyncDisposable
{
    private readonly ConcurrentQueue<CollectedSpan> _spans = new();
    private TestApp _server = null!;

    public IReadOnlyList<CollectedSpan> Spans => [.. _spans];

    public IHeaderDictionary LastHeaders => _server.LastHeaders;

    private string Authority => $"127.0.0.1:{_server.Port}";

    public TracingSettings Zipkin => new(1, Zipkin: new Uri($"http://{Authority}/api/v2/spans"));

    public TracingSettings OtelHttp => new(1, Otel: new(new Uri($"http://{Authority}/v1/traces"), IsHttp: true, [("x-tenant", "a b,c")], TimeSpan.FromSeconds(60)));

    public TracingSettings OtelGrpc => new(1, Otel: new(new Uri($"http://{Authority}"), IsHttp: false, [("x-tenant", "a b,c")], TimeSpan.FromSeconds(60)));

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
                Text("kind") ?? "", tags, tags.GetValueOrDefault("error"), []));

            string? Text(string field) => span.TryGetProperty(field, out var value) ? value.GetString() : null;
        }
    }

    private void ReadOtlp(byte[] body)
    {
        foreach (var span in OtlpSpans.Read(body))
            _spans.Enqueue(span);
    }
}
