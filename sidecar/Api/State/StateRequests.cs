using System.Text.Json;
using DaprOrders.Sidecar.Components.State;

namespace DaprOrders.Sidecar.Api.State;

/// <summary>An item of a request body. The value is JSON as Go would write it again.</summary>
internal sealed record StateRequestItem(
    string Key,
    ReadOnlyMemory<byte> Value,
    string? ETag,
    string? Concurrency,
    string? Consistency,
    Dictionary<string, string> Metadata)
{
    public StateWrite ToUpsert(StateStoreComponent store) =>
        Checked(store, firstWrite => StateItems.Upsert(store, Key, Value, ETag, firstWrite, Metadata));

    public StateWrite ToDelete(StateStoreComponent store) =>
        Checked(store, firstWrite => new StateDelete(store.FullKey(Key), ETag, firstWrite));

    private StateWrite Checked(StateStoreComponent store, Func<bool, StateWrite> make)
    {
        try
        {
            return make(StateItems.IsFirstWrite(Concurrency, Consistency));
        }
        catch (StateStoreException e)
        {
            return new RefusedWrite(store.FullKey(Key), e);
        }
    }
}

/// <summary>Reads the bodies of the state API; daprd's texts for bodies of the wrong shape are those of Go's decoder.</summary>
internal static class StateRequests
{
    private static readonly byte[] Null = "null"u8.ToArray();

    public static async Task<IReadOnlyList<StateRequestItem>> ReadSaveAsync(HttpContext context)
    {
        using var document = await ParseAsync(context, prefix: "");
        var root = document.RootElement;
        if (root.ValueKind == JsonValueKind.Null)
            return [];

        if (root.ValueKind != JsonValueKind.Array)
            throw StateErrors.Malformed($"json: cannot unmarshal {GoKind(root)} into Go value of type []state.SetRequest");

        var metadata = RequestBody.QueryMetadata(context);
        var items = new List<StateRequestItem>(root.GetArrayLength());
        foreach (var element in root.EnumerateArray())
            items.Add(ReadItem(element, metadata, prefix: ""));

        return items;
    }

    public static async Task<IReadOnlyList<(string Operation, StateRequestItem Item)>> ReadTransactionAsync(HttpContext context)
    {
        using var document = await ParseAsync(context, DeserializingPrefix);
        var root = document.RootElement;
        var operations = new List<(string, StateRequestItem)>();
        if (!TryGetArray(root, "operations", out var list))
            return operations;

        // URL metadata reaches the operations only when the body has a metadata object, or the URL has some.
        var metadata = RequestBody.QueryMetadata(context);
        foreach (var element in list.EnumerateArray())
        {
            var request = element.TryGetProperty("request", out var found) ? found : default;
            operations.Add((Text(element, "operation") ?? "", ReadItem(request, metadata, DeserializingPrefix)));
        }

        return operations;
    }

    public static async Task<IReadOnlyList<string>> ReadKeysAsync(HttpContext context)
    {
        using var document = await ParseAsync(context, DeserializingPrefix);
        return TryGetArray(document.RootElement, "keys", out var keys)
            ? [.. keys.EnumerateArray().Select(key => key.ValueKind == JsonValueKind.String ? key.GetString()! : throw WrongType(key, "string", DeserializingPrefix))]
            : [];
    }

    private const string DeserializingPrefix = "failed deserializing HTTP body: ";

    private static async Task<JsonDocument> ParseAsync(HttpContext context, string prefix)
    {
        try
        {
            return RequestBody.Parse(await RequestBody.ReadAsync(context));
        }
        catch (JsonException e)
        {
            throw StateErrors.Malformed(prefix + e.Message);
        }
        catch (BadHttpRequestException e) when (e.StatusCode == StatusCodes.Status413PayloadTooLarge)
        {
            // daprd cuts the body at the limit, and then cannot parse it.
            throw StateErrors.Malformed(prefix + "http: request body too large");
        }
    }

    private static StateRequestItem ReadItem(JsonElement element, Dictionary<string, string> urlMetadata, string prefix)
    {
        if (element.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
            return new StateRequestItem("", Null, null, null, null, urlMetadata);

        if (element.ValueKind != JsonValueKind.Object)
            throw WrongType(element, "state.SetRequest", prefix);

        var metadata = urlMetadata;
        if (element.TryGetProperty("metadata", out var own) && own.ValueKind == JsonValueKind.Object)
        {
            metadata = own.EnumerateObject().ToDictionary(
                property => property.Name,
                property => property.Value.ValueKind == JsonValueKind.String ? property.Value.GetString()! : throw WrongType(property.Value, "string", prefix));
            foreach (var (name, value) in urlMetadata)
                metadata[name] = value;
        }

        var options = element.TryGetProperty("options", out var found) && found.ValueKind == JsonValueKind.Object ? found : default;
        return new StateRequestItem(
            Text(element, "key") ?? "",
            element.TryGetProperty("value", out var value1) ? GoJson.Reencode(value1) : Null,
            Text(element, "etag") is { Length: > 0 } etag ? etag : null,
            options.ValueKind == JsonValueKind.Object ? Text(options, "concurrency") : null,
            options.ValueKind == JsonValueKind.Object ? Text(options, "consistency") : null,
            metadata);
    }

    private static bool TryGetArray(JsonElement root, string name, out JsonElement array)
    {
        array = default;
        return root.ValueKind == JsonValueKind.Object && root.TryGetProperty(name, out array) && array.ValueKind == JsonValueKind.Array;
    }

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static ApiException WrongType(JsonElement element, string type, string prefix) =>
        StateErrors.Malformed($"{prefix}json: cannot unmarshal {GoKind(element)} into Go value of type {type}");

    private static string GoKind(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.True or JsonValueKind.False => "bool",
        _ => element.ValueKind.ToString().ToLowerInvariant(),
    };
}
