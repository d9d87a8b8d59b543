using System.Globalization;
using System.Text.Json;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Formats;
using Google.Protobuf;
using Concurrency = Dapr.Client.Autogen.Grpc.v1.StateOptions.Types.StateConcurrency;
using StatusCode = Grpc.Core.StatusCode;

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
        Concurrency concurrency,
        IDictionary<string, string>? metadata)
    {
        var fullKey = store.FullKey(key);
        try
        {
            return new StateUpsert(fullKey, value, etag, concurrency == Concurrency.ConcurrencyFirstWrite, Ttl(store.Store, metadata))
            {
                IsJson = isJson,
                LastWrite = concurrency == Concurrency.ConcurrencyLastWrite,
            };
        }
        catch (StateStoreException e)
        {
            return new RefusedWrite(fullKey, e);
        }
    }

    public static StateWrite Delete(StateStoreComponent store, string key, string? etag, string? concurrency, string? consistency, bool inTransaction)
    {
        var fullKey = store.FullKey(key);
        try
        {
            var refusesUnknown = store.Store.RefusesUnknownOptions(ofDelete: true, inTransaction);
            return new StateDelete(fullKey, etag, ReadOptions(concurrency, consistency, refusesUnknown) == Concurrency.ConcurrencyFirstWrite);
        }
        catch (StateStoreException e)
        {
            return new RefusedWrite(fullKey, e);
        }
    }

    /// <exception cref="StateStoreException">A word that Dapr does not know.</exception>
    public static Concurrency ReadOptions(string? concurrency, string? consistency, bool refusesUnknown)
    {
        if (refusesUnknown && consistency is not (null or "" or "strong" or "eventual"))
            throw new StateStoreException(StateFailure.Other, $"unrecognized consistency model '{consistency}'");
        return concurrency switch
        {
            "first-write" => Concurrency.ConcurrencyFirstWrite,
            "last-write" => Concurrency.ConcurrencyLastWrite,
            null or "" => Concurrency.ConcurrencyUnspecified,
            _ when !refusesUnknown => Concurrency.ConcurrencyUnspecified,
            _ => throw new StateStoreException(StateFailure.Other, $"unrecognized concurrency model '{concurrency}'"),
        };
    }

    /// <summary>With contentType application/json daprd decodes a gRPC value and encodes it again.</summary>
    public static bool IsJson(IDictionary<string, string> metadata) =>
        metadata.Count > 0 && metadata.TryGetValue("contentType", out var contentType) && contentType == "application/json";

    /// <exception cref="ApiException">It is no JSON, or JSON that Go cannot hold: Go's words, and no more.</exception>
    public static ReadOnlyMemory<byte> Reencode(ByteString value)
    {
        try
        {
            using var document = JsonDocument.Parse(value.Memory, GoJson.DocumentOptions);
            return GoJson.Reencode(document.RootElement);
        }
        catch (JsonException e)
        {
            throw new ApiException(400, StatusCode.Unknown, "ERR_MALFORMED_REQUEST", GoJsonSyntax.DescribeWhole(value.Span) ?? e.Message);
        }
    }

    public static string Format(DateTimeOffset expiry) => expiry.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    // By this spelling alone, as the stores look for it.
    private static int? Ttl(IStateStore store, IDictionary<string, string>? metadata) =>
        metadata is { Count: > 0 } && metadata.FirstOrDefault(field => field.Key == StateTtl.MetadataName).Value is { Length: > 0 } text ? store.ReadTtl(text) : null;
}
