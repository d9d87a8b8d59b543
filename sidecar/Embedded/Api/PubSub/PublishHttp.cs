using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Api.PubSub;

/// <summary>The publish routes of the HTTP API (pkg/api/http/http.go).</summary>
internal static class PublishHttp
{
    public static void MapPublish(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        // A topic may contain slashes, but not be empty: that is no route of this API.
        routes.MapMethods("/v1.0/publish/{pubsub}/{**topic:minlength(1)}", Verbs.PostAndPut, context => PublishAsync(runtime, context));
        routes.MapMethods("/v1.0/publish/bulk/{pubsub}/{**topic:minlength(1)}", Verbs.PostAndPut, context => PublishManyAsync(runtime, context));
        routes.MapMethods("/v1.0-alpha1/publish/bulk/{pubsub}/{**topic:minlength(1)}", Verbs.PostAndPut, context => PublishManyAsync(runtime, context));
    }

    private static async Task PublishAsync(SidecarRuntime runtime, HttpContext context)
    {
        var metadata = RequestBody.QueryMetadata(context);
        var (pubsub, topic) = Route(context);
        // daprd reads the body before it looks at the metadata's values; only which of two refusals comes differs.
        var target = PublishTarget.Find(runtime, context, pubsub, topic, metadata);
        var body = await ReadBodyAsync(context, _ => PubSubErrors.PublishFailed(pubsub, topic, RequestBody.TooLarge));
        await target.PublishAsync(new("", body, ForwardedHeaders.Text(context.Request.ContentType), metadata), context.RequestAborted);
        ApiErrors.NoContent(context);
    }

    private static async Task PublishManyAsync(SidecarRuntime runtime, HttpContext context)
    {
        var metadata = RequestBody.QueryMetadata(context);
        var (pubsub, topic) = Route(context);
        var target = PublishTarget.Find(runtime, context, pubsub, topic, metadata);
        var body = await ReadBodyAsync(context, why => PubSubErrors.EventsUnreadable(pubsub, topic, runtime.Options.AppId, why));
        var events = BulkPublishBody.Read(body, target, runtime.Options.AppId, metadata);
        var failures = await target.PublishManyAsync(events, context.RequestAborted);
        if (failures.Count == 0)
        {
            ApiErrors.NoContent(context);
            return;
        }

        var answer = Failed(failures);
        var error = PubSubErrors.PublishFailed(pubsub, topic, failures[0].Failure.Message).Message;
        context.Response.StatusCode = StatusCodes.Status500InternalServerError;
        context.Response.ContentType = "application/json";
        context.Response.Headers["metadata.responseData"] = ForwardedHeaders.Value(Encoding.UTF8.GetString(answer.Span));
        context.Response.Headers["metadata.error"] = ForwardedHeaders.Value($"api error: code = Internal desc = {error}".ReplaceLineEndings(" "));
        await context.Response.Body.WriteAsync(answer, context.RequestAborted);
    }

    private static ReadOnlyMemory<byte> Failed(IReadOnlyList<(string EntryId, Exception Failure)> failures)
    {
        var answer = new ArrayBufferWriter<byte>(256);
        using var json = new Utf8JsonWriter(answer, new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        json.WriteStartObject();
        json.WriteStartArray("failedEntries"u8);
        foreach (var (entryId, failure) in failures)
        {
            json.WriteStartObject();
            json.WriteString("entryId"u8, entryId);
            json.WriteString("error"u8, failure.Message);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("errorCode"u8, "ERR_PUBSUB_PUBLISH_MESSAGE"u8);
        json.WriteEndObject();
        json.Flush();
        return answer.WrittenMemory;
    }

    private static (string PubSub, string Topic) Route(HttpContext context) =>
        ((string)context.Request.RouteValues["pubsub"]!, (string)context.Request.RouteValues["topic"]!);

    private static async Task<ReadOnlyMemory<byte>> ReadBodyAsync(HttpContext context, Func<string, ApiException> tooLarge)
    {
        try
        {
            return await RequestBody.ReadAsync(context);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw tooLarge(e.Message);
        }
    }
}
