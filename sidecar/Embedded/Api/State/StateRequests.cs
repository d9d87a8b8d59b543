using System.Text.Json;
using EmbeddedSidecar.Components.State;
using EmbeddedSidecar.Formats;

namespace EmbeddedSidecar.Api.State;

/// <summary>An item of a request body. The value is JSON as Go would write it again.</summary>
internal sealed record StateRequestItem(
    string Key,
    ReadOnlyMemory<byte> Value,
    string? ETag,
    string? Concurrency,
    string? Consistency,
    string? ContentType,
    Dictionary<string, string> Metadata)
{
    public StateWrite ToUpsert(StateStoreComponent store)
    {
        try
        {
            return StateItems.Upsert(store, Key, Value, isJson: true, ETag, StateItems.IsFirstWrite(Concurrency, Consistency), Metadata);
        }
        catch (StateStoreException e)
        {
            return new RefusedWrite(store.FullKey(Key), e);
        }
    }

    public StateWrite ToDelete(StateStoreComponent store) => StateItems.Delete(store, Key, ETag, Concurrency, Consistency);
}

/// <summary>Reads the bodies of the state API; daprd's texts for bodies of the wrong shape are those of Go's decoder.</summary>
internal static class StateRequests
{
    private const string DeserializingPrefix = "failed deserializing HTTP body: ";

    private static readonly byte[] Null = "null"u8.ToArray();

    public static async Task<IReadOnlyList<StateRequestItem>> ReadSaveAsync(HttpContext context)
    {
        using var document = await ParseAsync(context, prefix: "");
        var root = document.RootElement;
        if (root.ValueKind == JsonValueKind.Null)
            return [];

        if (root.ValueKind != JsonValueKind.Array)
            throw StateErrors.Malformed($"json: cannot unmarshal {GoJson.Kind(root)} into Go value of type []state.SetRequest");

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
            if (element.ValueKind != JsonValueKind.Object)
                throw WrongType(element, "http.stateTransactionRequestBodyOperation", DeserializingPrefix);
            var request = TryFind(element, "request", out var found) ? found : default;
            operations.Add((Text(element, "operation", "operations", DeserializingPrefix) ?? "", ReadItem(request, metadata, DeserializingPrefix)));
        }

        return operations;
    }

    public static async Task<IReadOnlyList<string>> ReadKeysAsync(HttpContext context)
    {
        using var document = await ParseAsync(context, DeserializingPrefix);
        return TryGetArray(document.RootElement, "keys", out var keys)
            ? [.. keys.EnumerateArray().Select(key => key.ValueKind == JsonValueKind.String ? GoJson.Text(key) : throw WrongType(key, "string", DeserializingPrefix))]
            : [];
    }

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
            throw StateErrors.Malformed(prefix + e.Message);
        }
    }

    private static StateRequestItem ReadItem(JsonElement element, Dictionary<string, string> urlMetadata, string prefix)
    {
        if (element.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
            return new StateRequestItem("", Null, null, null, null, null, urlMetadata);

        if (element.ValueKind != JsonValueKind.Object)
            throw WrongType(element, "state.SetRequest", prefix);

        var metadata = urlMetadata;
        if (TryFind(element, "metadata", out var own))
        {
            metadata = GoJson.Fields(
                Expect(own, JsonValueKind.Object, "SetRequest.metadata", "map[string]string", prefix),
                field => GoJson.Text(Expect(field.Value, JsonValueKind.String, "SetRequest.metadata", "string", prefix)));
            foreach (var (name, value) in urlMetadata)
                metadata[name] = value;
        }

        string? concurrency = null, consistency = null;
        if (TryFind(element, "options", out var options))
        {
            Expect(options, JsonValueKind.Object, "SetRequest.options", "state.SetStateOption", prefix);
            concurrency = Text(options, "concurrency", "SetStateOption", prefix);
            consistency = Text(options, "consistency", "SetStateOption", prefix);
        }

        return new StateRequestItem(
            Text(element, "key", "SetRequest", prefix) ?? "",
            TryFind(element, "value", out var content) ? Value(content, prefix) : Null,
            Text(element, "etag", "SetRequest", prefix) is { Length: > 0 } etag ? etag : null,
            concurrency,
            consistency,
            Text(element, "contentType", "SetRequest", prefix),
            metadata);
    }

    private static byte[] Value(JsonElement value, string prefix)
    {
        try
        {
            return GoJson.Reencode(value);
        }
        catch (JsonException e)
        {
            throw StateErrors.Malformed(prefix + e.Message.Replace("Go value", "Go struct field SetRequest.value", StringComparison.Ordinal));
        }
    }

    /// <summary>As Go finds the field of a struct: the exact name first, then any casing. A null counts as nothing.</summary>
    private static bool TryFind(JsonElement element, string name, out JsonElement value)
    {
        if (!GoJson.TryFind(element, name, out value))
            value = element.EnumerateObject().FirstOrDefault(property => GoJson.Name(property).Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

        return value.ValueKind is not (JsonValueKind.Undefined or JsonValueKind.Null);
    }

    private static bool TryGetArray(JsonElement root, string name, out JsonElement array)
    {
        array = default;
        if (root.ValueKind == JsonValueKind.Null)
            return false;
        if (root.ValueKind != JsonValueKind.Object)
            throw WrongType(root, "object", DeserializingPrefix);
        return TryFind(root, name, out array) && Expect(array, JsonValueKind.Array, name, "[]", DeserializingPrefix).ValueKind == JsonValueKind.Array;
    }

    private static string? Text(JsonElement element, string name, string type, string prefix) =>
        TryFind(element, name, out var value) ? GoJson.Text(Expect(value, JsonValueKind.String, $"{type}.{name}", "string", prefix)) : null;

    /// <summary>A wrong type is refused: an ETag that is a number must not become a write without condition.</summary>
    private static JsonElement Expect(JsonElement value, JsonValueKind kind, string field, string type, string prefix) =>
        value.ValueKind == kind
            ? value
            : throw StateErrors.Malformed($"{prefix}json: cannot unmarshal {GoJson.Kind(value)} into Go struct field {field} of type {type}");

    private static ApiException WrongType(JsonElement element, string type, string prefix) =>
        StateErrors.Malformed($"{prefix}json: cannot unmarshal {GoJson.Kind(element)} into Go value of type {type}");
}
