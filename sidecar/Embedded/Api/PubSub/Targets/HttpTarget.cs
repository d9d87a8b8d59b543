using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;
using EmbeddedSidecar.Resiliency;
using EmbeddedSidecar.Tracing;

namespace EmbeddedSidecar.Api.PubSub.Targets;

/// <summary>An application that takes events by HTTP: a POST to the route of each, or of a batch (pkg/runtime/subscription/postman/http).</summary>
/// <param name="tracing">As of now; null where nobody takes spans.</param>
/// <param name="app">Who takes them.</param>
/// <param name="pubsub">The name of the broker's component.</param>
/// <param name="topic">Of the events.</param>
internal sealed class HttpTarget(Func<SidecarTracing?> tracing, AppChannel app, string pubsub, string topic) : IBatchTarget
{
    private static readonly JsonWriterOptions WriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Metadata that must not become headers of the call: they would describe another body, or the connection.</summary>
    private static readonly HashSet<string> NotForwarded = new(StringComparer.OrdinalIgnoreCase)
    {
        "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Host", "Traceparent", "Tracestate", "pubsubName", "dapr-api-token",
    };

    private static readonly MediaTypeHeaderValue CloudEvent = new("application/cloudevents+json");
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    public async Task<EventAnswer> DeliverAsync(string path, DeliveredEvent delivered, CancellationToken cancellationToken)
    {
        using var span = tracing()?.StartDelivery(topic, delivered.Header.TraceParent);
        var traceParent = span?.TraceParent ?? Continue(delivered.Header.TraceParent);
        using var answer = await PostAsync(path, CloudEvent, delivered.CloudEvent, delivered.Message.Metadata, traceParent, cancellationToken);
        span?.Answered((int)answer.StatusCode);
        var body = await AppChannel.ReadAsync(answer, cancellationToken);
        var verdict = answer switch
        {
            { IsSuccessStatusCode: true } => AppAnswer.ReadOne(body),
            { StatusCode: HttpStatusCode.NotFound } => AppVerdict.Drop,
            _ => throw new AttemptFailedException($"the application answered {Describe(answer, body)}", (int)answer.StatusCode),
        };
        return verdict == AppVerdict.Success ? EventAnswer.Success : new(verdict, Describe(answer, body));
    }

    public async Task<Dictionary<string, AppVerdict>?> DeliverManyAsync(string path, IReadOnlyList<BatchEntry> entries, bool isRaw, CancellationToken cancellationToken)
    {
        using var spans = DeliverySpans.Start(tracing(), topic, entries);
        var traceParent = spans?.TraceParents.First() ?? Continue(entries.FirstOrDefault(entry => !string.IsNullOrEmpty(entry.Header.TraceParent)).Header.TraceParent);
        using var answer = await PostAsync(path, Json, Envelope(entries, isRaw), null, traceParent, cancellationToken);
        spans?.Answered((int)answer.StatusCode);
        var body = await AppChannel.ReadAsync(answer, cancellationToken);
        if (answer.StatusCode == HttpStatusCode.NotFound)
            return null;
        if (!answer.IsSuccessStatusCode)
            throw new AttemptFailedException($"the application answered {Describe(answer, body)}");

        try
        {
            return AppAnswer.ReadMany(body);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new AttemptFailedException($"the application's answer says nothing about the entries: {Describe(answer, body)}", inner: error);
        }
    }

    private async Task<HttpResponseMessage> PostAsync(
        string path,
        MediaTypeHeaderValue contentType,
        ReadOnlyMemory<byte> body,
        IReadOnlyDictionary<string, string>? metadata,
        string? traceParent,
        CancellationToken cancellationToken)
    {
        var route = new Uri(app.Address, "/" + InvocationTarget.Clean(path));
        using var request = new HttpRequestMessage(HttpMethod.Post, route) { Content = new ReadOnlyMemoryContent(body) };
        request.Content.Headers.ContentType = contentType;
        request.Headers.TryAddWithoutValidation("pubsubName", pubsub);
        if (traceParent is not null)
            request.Headers.TryAddWithoutValidation("traceparent", traceParent);
        if (metadata is not null)
        {
            foreach (var (name, value) in metadata)
            {
                if (!NotForwarded.Contains(name) && value.Length > 0)
                    request.Headers.TryAddWithoutValidation(name, ForwardedHeaders.Value(value));
            }
        }

        return await app.SendAsync(request, cancellationToken);
    }

    private static string? Continue(string? traceParent) => string.IsNullOrEmpty(traceParent) ? null : TraceParent.Continue(traceParent);

    private static string Describe(HttpResponseMessage answer, byte[] body)
    {
        const int Shown = 500;
        var text = Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(body.Length, Shown)));
        return $"status {(int)answer.StatusCode}{(text.Length == 0 ? "" : $", body: {text}")}";
    }

    private ReadOnlyMemory<byte> Envelope(IReadOnlyList<BatchEntry> entries, bool isRaw)
    {
        var size = 256;
        foreach (var entry in entries)
            size += entry.Message.Data.Length + 192;

        var buffer = new ArrayBufferWriter<byte>(size);
        using var json = new Utf8JsonWriter(buffer, WriterOptions);
        json.WriteStartObject();
        json.WriteStartArray("entries"u8);
        foreach (var entry in entries)
        {
            json.WriteStartObject();
            json.WriteString("entryId"u8, entry.Id);
            if (isRaw)
            {
                json.WriteBase64String("event"u8, entry.Message.Data.Span);
            }
            else
            {
                json.WritePropertyName("event"u8);
                json.WriteRawValue(entry.Message.Data.Span, skipInputValidation: true);
            }

            WriteMetadata(json, entry.Message.Metadata);
            json.WriteString("contentType"u8, entry.Message.ContentType ?? (isRaw ? "application/octet-stream" : CloudEventEnvelope.ContentType));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("id"u8, Uuid.Next());
        json.WriteStartObject("metadata"u8);
        json.WriteString("pubsubName"u8, pubsub);
        json.WriteEndObject();
        json.WriteString("pubsubname"u8, pubsub);
        json.WriteString("topic"u8, topic);
        json.WriteString("type"u8, "com.dapr.event.sent.bulk"u8);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string>? metadata)
    {
        if (metadata is null)
        {
            json.WriteNull("metadata"u8);
            return;
        }

        json.WriteStartObject("metadata"u8);
        foreach (var (name, value) in metadata)
            json.WriteString(name, value);
        json.WriteEndObject();
    }
}
