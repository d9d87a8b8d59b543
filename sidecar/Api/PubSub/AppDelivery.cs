using System.Net.Http.Headers;
using System.Text;
using DaprOrders.Sidecar.Api.Invocation;
using DaprOrders.Sidecar.Hosting;

namespace DaprOrders.Sidecar.Api.PubSub;

/// <summary>One POST to a route of the application.</summary>
internal sealed class AppDelivery(AppChannel app, string pubsub)
{
    /// <summary>Metadata that must not become headers of the call: they would describe another body, or the connection.</summary>
    private static readonly HashSet<string> NotForwarded = new(StringComparer.OrdinalIgnoreCase)
    {
        "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Host", "Traceparent", "Tracestate", "pubsubName", "dapr-api-token",
    };

    private static readonly MediaTypeHeaderValue CloudEvent = new("application/cloudevents+json");
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    public Uri Address(string path) => new(app.Address, "/" + path.TrimStart('/'));

    public Task<HttpResponseMessage> SendEventAsync(
        Uri route,
        ReadOnlyMemory<byte> cloudEvent,
        IReadOnlyDictionary<string, string>? metadata,
        string? traceParent,
        CancellationToken cancellationToken) => SendAsync(route, CloudEvent, cloudEvent, metadata, traceParent, cancellationToken);

    public Task<HttpResponseMessage> SendBatchAsync(Uri route, ReadOnlyMemory<byte> envelope, string? traceParent, CancellationToken cancellationToken) =>
        SendAsync(route, Json, envelope, null, traceParent, cancellationToken);

    public static string Describe(HttpResponseMessage answer, byte[] body)
    {
        const int Shown = 500;
        var text = Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(body.Length, Shown)));
        return $"status {(int)answer.StatusCode}{(text.Length == 0 ? "" : $", body: {text}")}";
    }

    private async Task<HttpResponseMessage> SendAsync(
        Uri route,
        MediaTypeHeaderValue contentType,
        ReadOnlyMemory<byte> body,
        IReadOnlyDictionary<string, string>? metadata,
        string? traceParent,
        CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, route) { Content = new ReadOnlyMemoryContent(body) };
        request.Content.Headers.ContentType = contentType;
        request.Headers.TryAddWithoutValidation("pubsubName", pubsub);
        if (!string.IsNullOrEmpty(traceParent))
            request.Headers.TryAddWithoutValidation("traceparent", TraceParent.Continue(traceParent));
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
}
