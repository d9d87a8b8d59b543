using System.Globalization;
using System.Text.Json;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Formats;
using Google.Protobuf;

namespace EmbeddedSidecar.Api.State;

/// <summary>Builds the writes of a store from what a request says about an item.</summary>
internal static class StateItems
{
    public const string ExpireTime = "ttlExpireTime";

    public static StateWrite Upsert(
        StateStoreComponent store,
        string key,
        ReadOnlyMemory<byte> value,
        bool isJson,
        string? etag,
        bool firstWrite,
        IDictionary<string, string>? metadata)
    {
        var fullKey = store.FullKey(key);
        try
        {
            return new StateUpsert(fullKey, value, etag, firstWrite, Ttl(store.Store, metadata)) { IsJson = isJson };
        }
        catch (StateStoreException e)
        {
            return new RefusedWrite(fullKey, e);
        }
    }

    public static StateWrite Delete(StateStoreComponent store, string key, string? etag, string? concurrency, string? consistency)
    {
        var fullKey = store.FullKey(key);
        try
        {
            return new StateDelete(fullKey, etag, store.Store.ReadsOptionsOfDeletes && IsFirstWrite(concurrency, consistency));
        }
        catch (StateStoreException e)
        {
            return new RefusedWrite(fullKey, e);
        }
    }

    /// <exception cref="StateStoreException">A word that Dapr does not know.</exception>
    public static bool IsFirstWrite(string? concurrency, string? consistency)
    {
        var firstWrite = concurrency switch
        {
            "first-write" => true,
            "last-write" or null or "" => false,
            _ => throw new StateStoreException(StateFailure.Other, $"unrecognized concurrency model '{concurrency}'"),
        };
        return consistency is null or "" or "strong" or "eventual"
            ? firstWrite
            : throw new StateStoreException(StateFailure.Other, $"unrecognized consistency model '{consistency}'");
    }

    /// <summary>With contentType application/json daprd decodes a gRPC value and encodes it again.</summary>
    public static bool IsJson(IDictionary<string, string> metadata) =>
        metadata.Count > 0 && metadata.TryGetValue("contentType", out var contentType) && contentType == "application/json";

    /// <exception cref="ApiException">It is no JSON, or JSON that Go cannot hold.</exception>
    public static ReadOnlyMemory<byte> Reencode(ByteString value)
    {
        try
        {
            using var document = RequestBody.Parse(value.Memory);
            return GoJson.Reencode(document.RootElement);
        }
        catch (JsonException e)
        {
            throw StateErrors.Malformed(e.Message);
        }
    }

    public static string Format(DateTimeOffset expiry) => expiry.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    // By this spelling alone, as the stores look for it.
    private static int? Ttl(IStateStore store, IDictionary<string, string>? metadata) =>
        metadata is { Count: > 0 } && metadata.FirstOrDefault(field => field.Key == StateTtl.MetadataName).Value is { Length: > 0 } text ? store.ReadTtl(text) : null;
}
