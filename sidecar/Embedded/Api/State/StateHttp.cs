using System.Buffers;
using System.Text.Json;
using EmbeddedSidecar.Api.Invocation;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Formats;
using EmbeddedSidecar.Hosting;

namespace EmbeddedSidecar.Api.State;

/// <summary>The state routes of the HTTP API (pkg/api/http/http.go).</summary>
internal static class StateHttp
{
    public static void MapState(this IEndpointRouteBuilder routes, SidecarRuntime runtime)
    {
        const string Store = "/v1.0/state/{store}";
        routes.MapGet(Store + "/{key}", context => GetAsync(runtime, context));
        routes.MapDelete(Store + "/{key}", context => DeleteAsync(runtime, context));
        routes.MapMethods(Store, Verbs.PostAndPut, context => SaveAsync(runtime, context));
        routes.MapMethods(Store + "/bulk", Verbs.PostAndPut, context => GetBulkAsync(runtime, context));
        routes.MapMethods(Store + "/transaction", Verbs.PostAndPut, context => TransactAsync(runtime, context));
        routes.MapMethods(
            "/v1.0-alpha1/state/{store}/query", Verbs.PostAndPut, context => throw StateErrors.QueryNotSupported(StoreOf(runtime, context).Name));
    }

    private static async Task GetAsync(SidecarRuntime runtime, HttpContext context)
    {
        var store = StoreOf(runtime, context);
        var entry = await store.GetAsync(KeyOf(context), context.RequestAborted);
        if (entry is null || (entry.Value.IsEmpty && store.Store.HidesEmptyValues))
        {
            ApiErrors.NoContent(context);
            return;
        }

        if (entry.ETag.Length > 0)
            context.Response.Headers.ETag = entry.ETag;
        if (entry.ExpiresAt is { } expiry)
            context.Response.Headers["metadata." + StateItems.ExpireTime] = StateItems.Format(expiry);

        context.Response.ContentType = "application/json";
        context.Response.ContentLength = entry.Value.Length;
        await context.Response.Body.WriteAsync(entry.Value, context.RequestAborted);
    }

    private static async Task DeleteAsync(SidecarRuntime runtime, HttpContext context)
    {
        var store = StoreOf(runtime, context);
        var key = KeyOf(context);
        var etag = ForwardedHeaders.Text(context.Request.Headers.IfMatch.ToString());
        var write = StateItems.Delete(
            store, key, etag.Length > 0 ? etag : null, context.Request.Query["concurrency"].FirstOrDefault(), context.Request.Query["consistency"].FirstOrDefault(), inTransaction: false);
        await store.DeleteAsync(key, write, context.RequestAborted);
        ApiErrors.NoContent(context);
    }

    private static async Task SaveAsync(SidecarRuntime runtime, HttpContext context)
    {
        var store = StoreOf(runtime, context);
        var items = await StateRequests.ReadSaveAsync(context);
        var writes = new StateWrite[items.Count];
        for (var i = 0; i < writes.Length; i++)
        {
            if (items[i].Key.Length == 0)
                throw StateErrors.Malformed("\"key\" is a required field");

            writes[i] = items[i].ToUpsert(store, inTransaction: false);
        }

        if (writes.Length > 0)
            await store.SaveAsync(writes, context.RequestAborted);

        ApiErrors.NoContent(context);
    }

    private static async Task TransactAsync(SidecarRuntime runtime, HttpContext context)
    {
        var store = StoreOf(runtime, context).Transactional();
        await store.TransactAsync(await StateRequests.ReadTransactionAsync(context, store), context, context.RequestAborted);
        ApiErrors.NoContent(context);
    }

    private static async Task GetBulkAsync(SidecarRuntime runtime, HttpContext context)
    {
        var store = StoreOf(runtime, context);
        var keys = await StateRequests.ReadKeysAsync(context);
        var entries = await store.GetManyAsync(keys, context.RequestAborted);
        var body = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(body))
        {
            writer.WriteStartArray();
            // Where the store gave fewer answers than there are keys, daprd's list has empty ones behind them.
            for (var i = 0; i < keys.Count; i++)
            {
                var (key, entry) = i < entries.Count ? entries[i] : ("", null);
                if (!TryWriteItem(writer, key, entry))
                {
                    // One value that is no JSON, and daprd's encoder gives up on the whole answer.
                    body = null;
                    break;
                }
            }

            if (body is not null)
                writer.WriteEndArray();
        }

        context.Response.ContentType = "application/json";
        context.Response.ContentLength = body?.WrittenCount ?? 0;
        if (body is null)
            context.Response.Headers.Remove("traceparent");
        else
            await context.Response.Body.WriteAsync(body.WrittenMemory, context.RequestAborted);
    }

    private static bool TryWriteItem(Utf8JsonWriter writer, string key, StateEntry? entry)
    {
        writer.WriteStartObject();
        writer.WriteString("key", key);
        if (entry is not null)
        {
            if (!entry.Value.IsEmpty)
            {
                if (!GoJson.IsValid(entry.Value.Span))
                    return false;
                writer.WritePropertyName("data");
                writer.WriteRawValue(entry.Value.Span, skipInputValidation: true);
            }

            if (entry.ETag.Length > 0)
                writer.WriteString("etag", entry.ETag);
            if (entry.ExpiresAt is { } expiry)
            {
                writer.WriteStartObject("metadata");
                writer.WriteString(StateItems.ExpireTime, StateItems.Format(expiry));
                writer.WriteEndObject();
            }
        }

        writer.WriteEndObject();
        return true;
    }

    private static StateStoreComponent StoreOf(SidecarRuntime runtime, HttpContext context) =>
        runtime.StateStore((string)context.Request.RouteValues["store"]!);

    /// <summary>Decoded once; the server itself leaves %2F alone.</summary>
    private static string KeyOf(HttpContext context) => RequestPath.LastSegment(context);
}
