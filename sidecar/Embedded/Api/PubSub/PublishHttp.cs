using System.Text.Json;
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
        var body = await ReadBodyAsync(runtime, context, target);
        await target.PublishAsync(new("", body, context.Request.ContentType, metadata), context.RequestAborted);
        ApiErrors.NoContent(context);
    }

    private static async Task PublishManyAsync(SidecarRuntime runtime, HttpContext context)
    {
        var metadata = RequestBody.QueryMetadata(context);
        var (pubsub, topic) = Route(context);
        var target = PublishTarget.Find(runtime, context, pubsub, topic, metadata);
        var events = BulkPublishBody.Read(await ReadBodyAsync(runtime, context, target), target, runtime.Options.AppId, metadata);
        var failures = await target.PublishManyAsync(events, context.RequestAborted);
        if (failures.Count == 0)
        {
            ApiErrors.NoContent(context);
            return;
        }

        context.Response.StatusCode = StatusCodes.Status500InternalServerError;
        context.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(context.Response.BodyWriter);
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
    }

    private static (string PubSub, string Topic) Route(HttpContext context) =>
        ((string)context.Request.RouteValues["pubsub"]!, (string)context.Request.RouteValues["topic"]!);

    private static async Task<ReadOnlyMemory<byte>> ReadBodyAsync(SidecarRuntime runtime, HttpContext context, PublishTarget target)
    {
        try
        {
            return await RequestBody.ReadAsync(context);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            throw PubSubErrors.TooLarge(target.Component.Name, target.Topic, runtime.Options.MaxBodyBytes);
        }
    }
}
